//! The fenced blocks of a Markdown text, by the first word behind the fence:
//!
//! * `console`: commands behind `$ ` with their output; a line `^C` is that key;
//! * `sh`: commands without output, each of which must succeed;
//! * any language with `file=NAME`: a file to be saved;
//! * `shell`: commands that are not replayed.

/// A block.
pub(crate) enum Block {
    Session(Vec<Step>),
    Script(Vec<String>),
    File { name: String, text: String },
    Untested(Vec<String>),
    Other,
}

/// A command of a session and what it prints.
pub(crate) struct Step {
    pub(crate) command: String,
    pub(crate) output: String,
    /// The output behind which the interrupt key is pressed.
    pub(crate) interrupt_after: Option<String>,
}

/// The blocks of a text in their order.
pub(crate) fn parse(text: &str) -> Vec<Block> {
    let mut blocks = Vec::new();
    let mut lines = text.lines();
    while let Some(line) = lines.next() {
        let Some(info) = line.strip_prefix("```") else { continue };
        let body: Vec<&str> = lines.by_ref().take_while(|line| *line != "```").collect();
        blocks.push(block(info, &body));
    }
    blocks
}

fn block(info: &str, body: &[&str]) -> Block {
    let mut words = info.split(' ');
    let kind = words.next().unwrap_or_default();
    if let Some(name) = words.find_map(|word| word.strip_prefix("file=")) {
        return Block::File { name: name.to_owned(), text: body.join("\n") + "\n" };
    }
    let commands = || body.iter().filter(|l| !l.is_empty()).map(|l| (*l).to_owned()).collect();
    match kind {
        "console" => Block::Session(session(body)),
        "sh" => Block::Script(commands()),
        "shell" => Block::Untested(commands()),
        _ => Block::Other,
    }
}

fn session(body: &[&str]) -> Vec<Step> {
    let mut steps: Vec<Step> = Vec::new();
    for line in body {
        match (line.strip_prefix("$ "), steps.last_mut()) {
            (Some(command), _) => steps.push(Step {
                command: command.to_owned(),
                output: String::new(),
                interrupt_after: None,
            }),
            (None, Some(step)) if *line == "^C" => {
                step.interrupt_after = Some(step.output.clone());
            }
            (None, Some(step)) => {
                step.output.push_str(line);
                step.output.push('\n');
            }
            (None, None) => panic!("output before the first command: {line}"),
        }
    }
    steps
}

/// Output without what differs from run to run: dates, users and widths of `ls -l`, process
/// numbers of the shell's job lines.
pub(crate) fn normalised(output: &str) -> String {
    output.lines().map(|line| normalised_line(line) + "\n").collect()
}

fn normalised_line(line: &str) -> String {
    let words: Vec<&str> = line.split_whitespace().collect();
    let is_listing = words.len() >= 9 && words[0].len() == 10 && "-dl".contains(&words[0][..1]);
    if is_listing {
        let (mode, nlink, size) = (words[0], words[1], words[4]);
        return format!("{mode} {nlink} USER GROUP {size} DATE {}", words[8..].join(" "));
    }
    match words[..] {
        [job, pid] if job.starts_with('[') && pid.bytes().all(|b| b.is_ascii_digit()) => {
            format!("{job} PID")
        }
        _ => line.to_owned(),
    }
}
