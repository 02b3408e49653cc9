//! The one table that a benchmark prints.

use super::is_quick;

/// One measured thing.
pub(crate) struct Row {
    name: String,
    target: String,
    measured: String,
    /// `None`: reported, nothing was promised.
    holds: Option<bool>,
    conditions: String,
}

impl Row {
    /// Something that must not be more than it is allowed to be.
    pub(crate) fn checked(name: &str, target: &str, measured: String, holds: bool) -> Self {
        Self::new(name, target, measured, Some(holds))
    }

    /// Something that is only told.
    pub(crate) fn told(name: &str, measured: String) -> Self {
        Self::new(name, "-", measured, None)
    }

    fn new(name: &str, target: &str, measured: String, holds: Option<bool>) -> Self {
        let conditions = String::new();
        Self { name: name.into(), target: target.into(), measured, holds, conditions }
    }

    /// How it was measured.
    pub(crate) fn under(mut self, conditions: impl Into<String>) -> Self {
        self.conditions = conditions.into();
        self
    }

    fn cells(&self) -> [String; 5] {
        let holds = match self.holds {
            Some(true) => "yes",
            Some(false) => "NO",
            None => "-",
        };
        let mark = if is_quick() { " (quick)" } else { "" };
        let name = format!("{}{mark}", self.name);
        let (target, measured) = (self.target.clone(), self.measured.clone());
        [name, target, measured, holds.into(), self.conditions.clone()]
    }
}

/// Prints all rows and how many hold.
pub(crate) fn print(rows: &[Row]) {
    let head = ["row", "target", "measured", "holds", "conditions"].map(str::to_owned);
    let lines: Vec<[String; 5]> =
        std::iter::once(head).chain(rows.iter().map(Row::cells)).collect();
    let width = |column: usize| {
        lines.iter().map(|cells| cells[column].chars().count()).max().unwrap_or_default()
    };
    let widths: [usize; 5] = std::array::from_fn(width);
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
