//! What is on a terminal, as characters with their styles, and the picture of it.

use anstyle_svg::{Palette, Term, VGA};
use clap::builder::styling::{Ansi256Color, AnsiColor, Color, Effects, RgbColor, Style};

use super::super::terminal::Terminal;

/// Colours that can be read on a dark grey, dimmed too; of the 16 only those that are used.
const TERM: Term = Term::new()
    .palette(palette())
    .fg_color(Color::Rgb(RgbColor(0xE0, 0xE0, 0xE0)))
    .bg_color(Color::Rgb(RgbColor(0x1E, 0x1E, 0x1E)));

const fn palette() -> Palette {
    let mut palette = VGA;
    palette.0[AnsiColor::Red as usize] = RgbColor(0xF2, 0x6D, 0x6D);
    palette.0[AnsiColor::Yellow as usize] = RgbColor(0xE5, 0xC0, 0x7B);
    palette.0[AnsiColor::BrightRed as usize] = RgbColor(0xFF, 0x6B, 0x6B);
    palette.0[AnsiColor::BrightBlue as usize] = RgbColor(0x61, 0xAF, 0xEF);
    palette
}

/// The same where pages are light: the picture follows its reader.
const LIGHT: &str = "    @media (prefers-color-scheme: light) {
      .fg { fill: #24292F }
      .bg { fill: #F6F8FA }
      .fg-red, .fg-bright-red { fill: #B3261E }
      .fg-yellow { fill: #7A4F00 }
      .fg-bright-blue { fill: #0550AE }
    }
";

/// Each character takes a column.
#[derive(Clone, Default)]
pub(super) struct Row(Vec<(char, Style)>);

pub(super) struct Screen {
    pub(super) rows: Vec<Row>,
}

impl Screen {
    pub(super) fn of(terminal: &Terminal) -> Self {
        let rows = terminal.look(|screen| {
            let (lines, columns) = screen.size();
            let mut rows: Vec<Row> = Vec::new();
            for line in 0..lines.get() {
                let cells = (0..columns.get()).filter_map(|column| screen.cell(line, column));
                let cells: Vec<_> = cells.map(cell).collect();
                let goes_on = line > 0 && screen.row_wrapped(line - 1);
                match rows.last_mut() {
                    Some(row) if goes_on => row.0.extend(cells),
                    _ => rows.push(Row(cells)),
                }
            }
            rows
        });
        Self { rows }
    }

    /// As on a terminal of so many columns, which breaks lines that are longer.
    pub(super) fn set_columns(&mut self, columns: usize) {
        let broken = self.rows.drain(..).flat_map(|row| row.broken(columns));
        self.rows = broken.collect();
    }

    pub(super) fn text(&self) -> String {
        let rows: Vec<_> = self.rows.iter().map(Row::text).collect();
        rows.join("\n")
    }

    pub(super) fn svg(&self) -> String {
        let used = self.rows.iter().rposition(|row| !row.text().is_empty());
        let rows = &self.rows[..used.map_or(0, |last| last + 1)];
        let lines: Vec<_> = rows.iter().map(Row::ansi).collect();
        let svg = TERM.render_svg(&lines.join("\n"));
        // Terminals dim less, and of a part of a text it is the filling that can be dimmed.
        let svg = svg.replace("opacity: 0.4", "fill-opacity: 0.65");
        svg.replace("  </style>", &format!("{LIGHT}  </style>"))
    }
}

impl Row {
    pub(super) fn styled(text: &str, style: Style) -> Self {
        Self(text.chars().map(|character| (character, style)).collect())
    }

    pub(super) fn then(mut self, other: Self) -> Self {
        self.0.extend(other.0);
        self
    }

    /// Without blanks at its end.
    pub(super) fn text(&self) -> String {
        let text: String = self.0.iter().map(|(character, _)| character).collect();
        text.trim_end().to_owned()
    }

    /// Where it has this text, in which `#` stands for any digit.
    pub(super) fn find(&self, pattern: &str, from: usize) -> Option<usize> {
        let pattern: Vec<char> = pattern.chars().collect();
        let fits = |at: &usize| {
            let here = self.0.iter().skip(*at).map(|(character, _)| character);
            here.zip(&pattern).all(|(character, wanted)| {
                wanted == character || *wanted == '#' && character.is_ascii_digit()
            })
        };
        let last = self.0.len().checked_sub(pattern.len())?;
        (from..=last).find(fits)
    }

    /// The same everywhere; what follows moves, if the other text is longer or shorter.
    pub(super) fn replace(&mut self, pattern: &str, text: &str) {
        let mut from = 0;
        while let Some(at) = self.find(pattern, from) {
            from = self.put(at, pattern, text);
        }
    }

    /// The number before that text.
    pub(super) fn replace_number_before(&mut self, text: &str, number: &str) {
        let Some(end) = self.find(&format!("# {text}"), 0) else {
            return;
        };
        let digits = self.0[..=end].iter().rev();
        let digits = digits.take_while(|(character, _)| character.is_ascii_digit());
        let begin = end + 1 - digits.count();
        let style = self.0[begin].1;
        self.0.splice(begin..=end, Self::styled(number, style).0);
    }

    /// Where it has this word from there on, between blanks.
    pub(super) fn find_word(&self, word: &str, from: usize) -> Option<usize> {
        let is_blank = |at: usize| {
            self.0
                .get(at)
                .is_none_or(|(character, _)| *character == ' ')
        };
        let mut from = from;
        loop {
            let at = self.find(word, from)?;
            if at.checked_sub(1).is_none_or(is_blank) && is_blank(at + word.chars().count()) {
                return Some(at);
            }
            from = at + 1;
        }
    }

    /// All at once, since one may become what another one was.
    pub(super) fn replace_words(&mut self, words: &[(String, &str)]) {
        let mut from = 0;
        loop {
            let places = words
                .iter()
                .map(|words| (self.find_word(&words.0, from), words));
            let found = places.filter_map(|(at, words)| Some((at?, words)));
            let Some((at, (word, text))) = found.min_by_key(|(at, _)| *at) else {
                return;
            };
            from = self.put(at, word, text);
        }
    }

    /// Where that ends.
    fn put(&mut self, at: usize, instead_of: &str, text: &str) -> usize {
        let style = self.0[at].1;
        let length = instead_of.chars().count();
        self.0.splice(at..at + length, Self::styled(text, style).0);
        at + text.chars().count()
    }

    /// Has so many blanks more or less between that text and the next one.
    pub(super) fn widen_behind(&mut self, text: &str, by: isize) {
        let Some(at) = self.find(text, 0) else {
            return;
        };
        let behind = at + text.chars().count();
        let blanks = self.0.iter().skip(behind);
        let blanks = blanks
            .take_while(|(character, _)| *character == ' ')
            .count();
        // Next to the last, whose style goes on.
        let end = behind + blanks;
        if let Ok(more) = usize::try_from(by) {
            let blank = self.0[end - 1];
            self.0.splice(end..end, std::iter::repeat_n(blank, more));
        } else {
            self.0.drain(end - by.unsigned_abs()..end);
        }
    }

    #[cfg(feature = "watch")]
    pub(super) fn cut_behind(&mut self, text: &str) {
        if let Some(at) = self.find(text, 0) {
            self.0.truncate(at + text.chars().count());
        }
    }

    /// In rows of so many columns. Blanks beyond, and a rule that it ends with, are left out or go on.
    fn broken(mut self, columns: usize) -> Vec<Self> {
        const RULE: char = '─';
        let (last, style) = self.0.last().copied().unwrap_or((' ', Style::new()));
        let more = if last == RULE { RULE } else { ' ' };
        let used = self.0.iter().rposition(|(character, _)| *character != more);
        let used = used.map_or(0, |last| last + 1);
        let rows = used.div_ceil(columns).max(1);
        self.0.resize(rows * columns, (more, style));
        let rows = self.0.chunks(columns);
        rows.map(|row| Self(row.to_vec())).collect()
    }

    fn ansi(&self) -> String {
        let is_seen =
            |(character, style): &(char, Style)| *character != ' ' || *style != Style::new();
        let used = self.0.iter().rposition(is_seen);
        let cells = &self.0[..used.map_or(0, |last| last + 1)];
        let runs = cells.chunk_by(|(_, one), (_, other)| one == other);
        let run = |run: &[(char, Style)]| {
            let text: String = run.iter().map(|(character, _)| character).collect();
            let style = run[0].1;
            format!("{style}{text}{style:#}")
        };
        runs.map(run).collect()
    }
}

fn cell(cell: &vt100::Cell) -> (char, Style) {
    assert!(
        !cell.is_wide(),
        "a picture has no room for {:?}",
        cell.contents()
    );
    let effects = [
        (cell.bold(), Effects::BOLD),
        (cell.dim(), Effects::DIMMED),
        (cell.inverse(), Effects::INVERT),
    ];
    let effects = effects.into_iter().filter(|(is_so, _)| *is_so);
    let style = Style::new()
        .fg_color(color(cell.fgcolor()))
        .bg_color(color(cell.bgcolor()))
        .effects(effects.fold(Effects::new(), |all, (_, effect)| all | effect));
    (cell.contents().chars().next().unwrap_or(' '), style)
}

fn color(color: vt100::Color) -> Option<Color> {
    match color {
        vt100::Color::Default => None,
        vt100::Color::Idx(index) => {
            let color = Ansi256Color(index);
            Some(color.into_ansi().map_or(color.into(), Color::Ansi))
        }
        vt100::Color::Rgb(red, green, blue) => Some(RgbColor(red, green, blue).into()),
    }
}
