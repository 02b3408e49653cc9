//! Rows of a report, and the table of them.

use serde::{Deserialize, Serialize};

use super::is_quick;

/// One measured thing.
#[derive(Clone, Debug, Deserialize, Serialize)]
pub(crate) struct Row {
    /// What.
    pub(crate) name: String,
    /// What was promised, in words; `-` for nothing.
    pub(crate) target: String,
    /// What came out.
    pub(crate) measured: String,
    /// How many times better than promised.
    pub(crate) margin: Option<f64>,
    /// `None`: reported, nothing was promised.
    pub(crate) holds: Option<bool>,
    /// How it was measured.
    pub(crate) conditions: String,
}

/// How a number is written.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Unit {
    /// `1.25 x`, `61 x`.
    Times,
    /// `5.78`.
    Plain,
    /// `344 bytes`.
    Bytes,
    /// Bytes, as `9.6 MiB`.
    Mebibytes,
    /// Seconds, as `40.1 µs`, `0.30 ms` or `1.20 s`.
    Seconds,
    /// A second, as `5.67 M/s`, `565 k/s` or `99/s`.
    Rate,
}

impl Unit {
    pub(crate) fn show(self, value: f64) -> String {
        match self {
            Self::Times if value >= 10.0 => format!("{value:.0} x"),
            Self::Times => format!("{value:.2} x"),
            Self::Plain => format!("{value:.2}"),
            Self::Bytes => format!("{value:.0} bytes"),
            Self::Mebibytes => format!("{:.1} MiB", value / f64::from(1 << 20)),
            Self::Seconds if value < 1e-4 => format!("{:.1} µs", value * 1e6),
            Self::Seconds if value < 1.0 => format!("{:.2} ms", value * 1e3),
            Self::Seconds => format!("{value:.2} s"),
            Self::Rate if value >= 1e6 => format!("{:.2} M/s", value / 1e6),
            Self::Rate if value >= 1e3 => format!("{:.0} k/s", value / 1e3),
            Self::Rate => format!("{value:.0}/s"),
        }
    }

    /// As [`Unit::show`], for limits, which are round.
    fn show_limit(self, value: f64) -> String {
        let shown = self.show(value);
        let (number, unit) = shown.split_at(shown.find([' ', '/']).unwrap_or(shown.len()));
        match number.contains('.') {
            true => number.trim_end_matches('0').trim_end_matches('.').to_owned() + unit,
            false => shown,
        }
    }
}

impl Row {
    /// Something that must not be more than this.
    pub(crate) fn at_most(name: &str, unit: Unit, limit: f64, measured: f64) -> Self {
        let margin = (limit > 0.0 && measured > 0.0).then_some(limit / measured);
        let target = format!("at most {}", unit.show_limit(limit));
        Self::new(name, target, unit.show(measured), margin, Some(measured <= limit))
    }

    /// Something that must not be less than this.
    pub(crate) fn at_least(name: &str, unit: Unit, limit: f64, measured: f64) -> Self {
        let target = format!("at least {}", unit.show_limit(limit));
        let margin = Some(measured / limit);
        Self::new(name, target, unit.show(measured), margin, Some(measured >= limit))
    }

    /// Something that is told in words.
    pub(crate) fn checked(name: &str, target: &str, measured: String, holds: bool) -> Self {
        Self::new(name, target.to_owned(), measured, None, Some(holds))
    }

    /// Something of which nothing was promised.
    pub(crate) fn told(name: &str, measured: impl Into<String>) -> Self {
        Self::new(name, "-".to_owned(), measured.into(), None, None)
    }

    fn new(
        name: &str,
        target: String,
        measured: String,
        margin: Option<f64>,
        holds: Option<bool>,
    ) -> Self {
        Self { name: name.to_owned(), target, measured, margin, holds, conditions: String::new() }
    }

    /// How it was measured.
    pub(crate) fn under(mut self, conditions: impl Into<String>) -> Self {
        self.conditions = conditions.into();
        self
    }

    /// Says so if it does not hold.
    pub(crate) fn verdict(&self) -> &'static str {
        match self.holds {
            Some(true) => "yes",
            Some(false) => "MISSED",
            None => "-",
        }
    }

    /// How many times better than promised; below 1 it is not.
    pub(crate) fn margin_text(&self) -> String {
        match self.margin {
            Some(margin) if margin < 10.0 => format!("{margin:.2}"),
            Some(margin) => format!("{margin:.0}"),
            None => "-".to_owned(),
        }
    }

    fn cells(&self) -> [String; 6] {
        let mark = if is_quick() { " (quick)" } else { "" };
        let name = format!("{}{mark}", self.name);
        let (target, measured) = (self.target.clone(), self.measured.clone());
        [name, target, measured, self.margin_text(), self.verdict().into(), self.conditions.clone()]
    }
}

/// Prints all rows and how many hold.
pub(crate) fn print(rows: &[Row]) {
    let head = ["row", "target", "measured", "margin", "holds", "conditions"].map(str::to_owned);
    let lines: Vec<[String; 6]> =
        std::iter::once(head).chain(rows.iter().map(Row::cells)).collect();
    let width = |column: usize| {
        lines.iter().map(|cells| cells[column].chars().count()).max().unwrap_or_default()
    };
    let widths: [usize; 6] = std::array::from_fn(width);
    for (number, cells) in lines.iter().enumerate() {
        let padded = cells.iter().zip(widths).map(|(cell, width)| format!("{cell:width$}"));
        println!("{}", padded.collect::<Vec<_>>().join("  ").trim_end());
        if number == 0 {
            println!("{}", widths.map(|width| "-".repeat(width)).join("  "));
        }
    }
    let count = |wanted| rows.iter().filter(|row| row.holds == Some(wanted)).count();
    println!("\n{} rows hold, {} do not", count(true), count(false));
}
