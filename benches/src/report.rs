//! The report: what each case found, as Markdown.

use std::fmt;
use std::path::Path;
use std::{fs, io};

use crate::plot::Chart;
use crate::stats::whole;

/// What one case found.
#[derive(Debug, Default)]
pub(crate) struct Section {
    pub(crate) title: &'static str,
    /// Paragraphs.
    pub(crate) text: Vec<String>,
    pub(crate) table: Table,
    pub(crate) targets: Vec<Target>,
    pub(crate) charts: Vec<Chart>,
}

/// A table, with its first column to the left and the others to the right.
#[derive(Debug, Default)]
pub(crate) struct Table {
    pub(crate) columns: Vec<String>,
    pub(crate) rows: Vec<Vec<String>>,
}

impl Table {
    pub(crate) fn new(columns: &[&str]) -> Table {
        Table {
            columns: columns.iter().map(|&column| column.to_owned()).collect(),
            rows: Vec::new(),
        }
    }
}

/// What is to be reached.
#[derive(Debug)]
pub(crate) struct Target {
    pub(crate) what: &'static str,
    pub(crate) goal: Goal,
    /// What was reached; `None` where the case did not get that far.
    pub(crate) measured: Option<f64>,
    /// After the number.
    pub(crate) unit: &'static str,
}

#[derive(Debug, Clone, Copy)]
pub(crate) enum Goal {
    AtMost(f64),
    AtLeast(f64),
}

impl Target {
    fn is_met(&self) -> bool {
        match (self.measured, self.goal) {
            (None, _) => false,
            (Some(value), Goal::AtMost(goal)) => value <= goal,
            (Some(value), Goal::AtLeast(goal)) => value >= goal,
        }
    }

    fn row(&self) -> Vec<String> {
        let with_unit = |value| {
            format!("{} {}", number(value), self.unit)
                .trim_end()
                .to_owned()
        };
        let (relation, goal) = match self.goal {
            Goal::AtMost(goal) => ("at most", goal),
            Goal::AtLeast(goal) => ("at least", goal),
        };
        vec![
            self.what.to_owned(),
            format!("{relation} {}", with_unit(goal)),
            self.measured.map_or("not reached".to_owned(), with_unit),
            if self.is_met() { "yes" } else { "**no**" }.to_owned(),
        ]
    }
}

/// A number with as many digits as say something.
fn number(value: f64) -> String {
    if value >= 100.0 {
        return whole(value.round() as u64);
    }
    let text = format!("{value:.2}");
    text.trim_end_matches('0').trim_end_matches('.').to_owned()
}

/// All that is written down.
#[derive(Debug)]
pub(crate) struct Report {
    /// The machine and the versions, a line each.
    pub(crate) facts: Vec<String>,
    pub(crate) sections: Vec<Section>,
}

impl Report {
    /// Writes `benchmarks.md` to that folder, and its plots to a folder of that name.
    pub(crate) fn write(&self, folder: &Path) -> io::Result<()> {
        let plots = folder.join("benchmarks");
        fs::create_dir_all(&plots)?;
        for chart in self.sections.iter().flat_map(|section| &section.charts) {
            fs::write(plots.join(chart.file_name()), chart.svg())?;
        }
        fs::write(folder.join("benchmarks.md"), self.to_string())
    }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "{INTRODUCTION}")?;
        for fact in &self.facts {
            writeln!(f, "- {fact}")?;
        }
        let mut targets = Table::new(&["what", "target", "measured", "met"]);
        let all = self.sections.iter().flat_map(|section| &section.targets);
        targets.rows = all.map(Target::row).collect();
        writeln!(f, "\n## Targets\n\n{targets}")?;
        for section in &self.sections {
            write!(f, "\n{section}")?;
        }
        Ok(())
    }
}

const INTRODUCTION: &str = "# Benchmarks

Written by `./dev bench`, which starts a Postgres of its own and measures all sides in one run, by turns: what disturbs the
machine disturbs all of them. Server and clients share the machine and talk over a unix socket. Compare the ratios; the times
are this machine's. A *pair* is one acquire and one release. The median is what to expect, p10 (a tenth of all pairs is faster)
what is possible where nothing else runs.
";

impl fmt::Display for Section {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "## {}", self.title)?;
        for paragraph in &self.text {
            writeln!(f, "\n{}", wrapped(paragraph))?;
        }
        if !self.table.rows.is_empty() {
            writeln!(f, "\n{}", self.table)?;
        }
        for chart in &self.charts {
            writeln!(f, "\n![{}](benchmarks/{})", chart.title, chart.file_name())?;
        }
        Ok(())
    }
}

impl fmt::Display for Table {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let rule: Vec<&str> = (0..self.columns.len())
            .map(|column| if column == 0 { "---" } else { "---:" })
            .collect();
        write!(
            f,
            "| {} |\n| {} |",
            self.columns.join(" | "),
            rule.join(" | ")
        )?;
        for row in &self.rows {
            write!(f, "\n| {} |", row.join(" | "))?;
        }
        Ok(())
    }
}

/// A paragraph in lines of at most 120 characters.
fn wrapped(text: &str) -> String {
    let mut lines = String::new();
    let mut column = 0;
    for word in text.split_whitespace() {
        let width = word.chars().count();
        if column > 0 && column + 1 + width > 120 {
            lines.push('\n');
            column = 0;
        } else if column > 0 {
            lines.push(' ');
            column += 1;
        }
        lines.push_str(word);
        column += width;
    }
    lines
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_target_without_a_measurement_is_not_met() {
        let target = |measured, goal| Target {
            what: "case",
            goal,
            measured,
            unit: "x",
        };
        assert!(!target(None, Goal::AtMost(1.0)).is_met());
        assert!(target(Some(0.9), Goal::AtMost(1.0)).is_met());
        assert!(!target(Some(0.9), Goal::AtLeast(1.0)).is_met());
        let row = target(Some(1.1), Goal::AtMost(1.15)).row();
        assert_eq!(row, ["case", "at most 1.15 x", "1.1 x", "yes"]);
    }

    #[test]
    fn text_is_wrapped() {
        let lines = wrapped(&format!("one\ntwo {}", "word ".repeat(40)));
        assert!(lines.starts_with("one two word word"));
        assert!(lines.lines().count() > 1 && lines.lines().all(|line| line.len() <= 120));
    }
}
