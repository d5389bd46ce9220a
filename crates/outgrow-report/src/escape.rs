//! Texts that others chose, such as names in a database, as each format says them: one function a
//! format.
//!
//! A name of today is checked when its sweep is read; one of an old database may hold anything.
//! Every format but CSV, which has a way to say them, shows characters that nobody sees (control
//! characters, marks that turn the direction of reading) as Rust writes them: `\n`, `\u{202e}`.

use unicode_normalization::UnicodeNormalization;

use crate::on_the_way::MARK;

/// Bytes of a file's name: with the endings that are put behind it, it stays below the 255 of most
/// file systems.
const LONGEST: usize = 120;

/// A text in one line of a terminal, a figure or a page: nothing in it moves a cursor, breaks a
/// line or turns the direction.
pub fn visible(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for character in text.chars() {
        match is_seen(character) {
            true => out.push(character),
            false => out.extend(character.escape_debug()),
        }
    }
    out
}

fn is_seen(character: char) -> bool {
    // Behind a letter, marks on letters are taken as what they are.
    let behind_a_letter = || format!("a{character}").escape_debug().eq(['a', character]);
    matches!(character, ' '..='~') || !character.is_ascii() && behind_a_letter()
}

/// A text within a line of Markdown, or in a cell of its tables: rendered, it is itself.
pub fn markdown(text: &str) -> String {
    let seen: Vec<char> = visible(text).chars().collect();
    let mut out = String::with_capacity(2 * seen.len());
    for (at, &character) in seen.iter().enumerate() {
        match character {
            // Spaces at the ends mean something to Markdown, or nothing.
            ' ' if at == 0 || at + 1 == seen.len() => out.push_str("&#32;"),
            _ if is_active(&seen, at) => out.extend(['\\', character]),
            _ => out.push(character),
        }
    }
    out
}

/// Whether a character may be markup where it stands.
fn is_active(text: &[char], at: usize) -> bool {
    let is = |at: Option<usize>, what: fn(char) -> bool| {
        at.and_then(|at| text.get(at)).is_some_and(|c| what(*c))
    };
    let both = |what: fn(char) -> bool| is(at.checked_sub(1), what) && is(Some(at + 1), what);
    match text[at] {
        '_' => !both(char::is_alphanumeric),
        '.' => !both(|c| c.is_ascii_digit()),
        ')' => text[..at].iter().all(char::is_ascii_digit),
        '-' | '+' | '=' => at == 0 && !is(Some(1), |c| c.is_ascii_digit()),
        other => "\\`*[]<>&|~$#!@:^{}".contains(other),
    }
}

/// A text as LaTeX sets it under OT1 and T1, in a table, a caption or a paragraph. What these have
/// no sign for is `U+6210`.
pub fn latex(text: &str) -> String {
    let mut out = String::new();
    let mut before = None;
    for character in visible(text).nfc() {
        // Two of these become one other sign.
        if matches!(
            (before, character),
            (Some('-'), '-') | (Some('\''), '\'') | (Some(','), ',') | (Some('`' | '?' | '!'), '`')
        ) {
            out.push_str("{}");
        }
        match character {
            '_' | '%' | '&' | '#' | '$' | '{' | '}' => out.extend(['\\', character]),
            // Behind the end of a row these would be its options.
            '[' | ']' | '*' => out.extend(['{', character, '}']),
            // OT1 has other signs in their places.
            '<' => out.push_str("\\textless{}"),
            '>' => out.push_str("\\textgreater{}"),
            '|' => out.push_str("\\textbar{}"),
            '"' => out.push_str("{\\ttfamily\\char34}"),
            '\\' => out.push_str("\\textbackslash{}"),
            '~' => out.push_str("\\textasciitilde{}"),
            '^' => out.push_str("\\textasciicircum{}"),
            ' '..='~' => out.push(character),
            other => out.push_str(&beyond_ascii(other)),
        }
        before = Some(character);
    }
    out
}

fn beyond_ascii(character: char) -> String {
    let sign =
        SIGNS.iter().find(|(sign, _)| *sign == character).map(|(_, latex)| (*latex).to_owned());
    let greek = || {
        GREEK.iter().find(|(letter, _)| *letter == character).map(|(_, name)| format!("$\\{name}$"))
    };
    let code = || format!("\\texttt{{U+{:04X}}}", u32::from(character));
    sign.or_else(greek).or_else(|| accented(character)).unwrap_or_else(code)
}

/// A Latin letter with its marks, as `\'{e}`.
fn accented(character: char) -> Option<String> {
    let mut parts = character.nfd();
    let letter = parts.next().filter(char::is_ascii_alphabetic)?;
    let set = |text: String, mark: char| {
        let (_, command) = MARKS.iter().find(|(known, _)| *known == mark)?;
        Some(format!("\\{command}{{{text}}}"))
    };
    // A mark takes the place of the dot.
    let bare = match letter {
        'i' | 'j' => format!("\\{letter}"),
        other => other.to_string(),
    };
    parts.try_fold(bare, set)
}

/// Combining marks, and the commands that set them under every encoding.
const MARKS: [(char, &str); 14] = [
    ('\u{300}', "`"),
    ('\u{301}', "'"),
    ('\u{302}', "^"),
    ('\u{303}', "~"),
    ('\u{304}', "="),
    ('\u{306}', "u"),
    ('\u{307}', "."),
    ('\u{308}', "\""),
    ('\u{30a}', "r"),
    ('\u{30b}', "H"),
    ('\u{30c}', "v"),
    ('\u{323}', "d"),
    ('\u{327}', "c"),
    ('\u{331}', "b"),
];

const SIGNS: [(char, &str); 32] = [
    ('ß', "\\ss{}"),
    ('Æ', "\\AE{}"),
    ('æ', "\\ae{}"),
    ('Œ', "\\OE{}"),
    ('œ', "\\oe{}"),
    ('Ø', "\\O{}"),
    ('ø', "\\o{}"),
    ('Ł', "\\L{}"),
    ('ł', "\\l{}"),
    ('ı', "\\i{}"),
    ('–', "--"),
    ('—', "---"),
    ('‘', "`"),
    ('’', "'"),
    ('“', "``"),
    ('”', "''"),
    ('…', "\\ldots{}"),
    ('±', "$\\pm$"),
    ('†', "$\\dagger$"),
    ('×', "$\\times$"),
    ('·', "$\\cdot$"),
    ('÷', "$\\div$"),
    ('°', "$^\\circ$"),
    ('µ', "$\\mu$"),
    ('\u{2212}', "$-$"),
    ('≤', "$\\leq$"),
    ('≥', "$\\geq$"),
    ('≠', "$\\neq$"),
    ('≈', "$\\approx$"),
    ('→', "$\\to$"),
    ('←', "$\\leftarrow$"),
    ('∞', "$\\infty$"),
];

/// The Greek letters that mathematics has of its own; the others look like Latin ones.
const GREEK: [(char, &str); 34] = [
    ('α', "alpha"),
    ('β', "beta"),
    ('γ', "gamma"),
    ('δ', "delta"),
    ('ε', "varepsilon"),
    ('ζ', "zeta"),
    ('η', "eta"),
    ('θ', "theta"),
    ('ι', "iota"),
    ('κ', "kappa"),
    ('λ', "lambda"),
    ('μ', "mu"),
    ('ν', "nu"),
    ('ξ', "xi"),
    ('π', "pi"),
    ('ρ', "rho"),
    ('σ', "sigma"),
    ('ς', "varsigma"),
    ('τ', "tau"),
    ('υ', "upsilon"),
    ('φ', "varphi"),
    ('χ', "chi"),
    ('ψ', "psi"),
    ('ω', "omega"),
    ('Γ', "Gamma"),
    ('Δ', "Delta"),
    ('Θ', "Theta"),
    ('Λ', "Lambda"),
    ('Ξ', "Xi"),
    ('Π', "Pi"),
    ('Σ', "Sigma"),
    ('Φ', "Phi"),
    ('Ψ', "Psi"),
    ('Ω', "Omega"),
];

/// A text in XML, as SVG has it, and in HTML: between tags or in an attribute.
pub fn xml(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for character in visible(text).chars() {
        match character {
            '&' => out.push_str("&amp;"),
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '"' => out.push_str("&quot;"),
            '\'' => out.push_str("&#39;"),
            other => out.push(other),
        }
    }
    out
}

/// Rows as CSV (RFC 4180, but for lines that end in a line feed alone). These tables are opened by
/// people, too: what a spreadsheet would take for a formula gets an apostrophe before it.
pub fn csv(rows: &[Vec<String>]) -> Vec<u8> {
    let mut writer = csv::Writer::from_writer(vec![]);
    for row in rows {
        writer.write_record(row.iter().map(|cell| inert(cell))).expect("memory takes every record");
    }
    writer.into_inner().expect("memory takes every record")
}

fn inert(cell: &str) -> String {
    let plain = cell.strip_suffix(MARK).unwrap_or(cell);
    let is_number = || plain.split(" ± ").all(|part| part.parse::<f64>().is_ok());
    let mark =
        if cell.starts_with(['=', '+', '-', '@', '\t', '\r']) && !is_number() { "'" } else { "" };
    format!("{mark}{cell}")
}

/// A text as the name of a file or folder: one name for each text, one text for each name, never
/// hidden, never a way to another folder. What is neither an ASCII letter nor a digit, `_`, `-` or
/// `.` is written as `%` and its bytes; a long text keeps its beginning and is told apart by its
/// digest.
pub fn file_name(text: &str) -> String {
    let mut name = String::new();
    for (at, byte) in text.bytes().enumerate() {
        match byte {
            b'-' | b'.' if at > 0 => name.push(char::from(byte)),
            b'_' | b'0'..=b'9' | b'A'..=b'Z' | b'a'..=b'z' => name.push(char::from(byte)),
            other => name += &format!("%{other:02X}"),
        }
        if name.len() > LONGEST {
            // No other name has a tilde.
            return format!(
                "{}~{}",
                &name[..LONGEST - 17],
                &blake3::hash(text.as_bytes()).to_hex()[..16]
            );
        }
    }
    if name.is_empty() { "%".into() } else { name }
}

#[cfg(test)]
mod tests {
    use std::process::{Command, Stdio};

    use proptest::prelude::*;
    use pulldown_cmark::{Event, Options, Parser, Tag, TagEnd};

    use super::*;

    /// Names that some program or other has stumbled over.
    fn nasty() -> impl Strategy<Value = String> {
        let known = [
            "",
            " ",
            "a\nb",
            "a\r\n\r\nb",
            "tab\tbed",
            "a|b",
            "<script>alert(1)</script>",
            "../../escaped",
            "/etc/passwd",
            "..",
            ".",
            ".hidden",
            "back\\slash",
            "_a_ *b* **c**",
            "50 % & # $ { } ~ ^",
            "\"quoted\" 'twice'",
            "=cmd|' /C calc'!A0",
            "-1+1",
            "+x",
            "@SUM(A1)",
            "-rf",
            "--",
            "1. one",
            "2) two",
            "# title",
            "- item",
            "> quote",
            "`code`",
            "[text](https://example.org)",
            "![x](y)",
            "https://example.org www.example.org a@b.org",
            ":smile: $x$ ~~gone~~",
            "&amp; &#60;",
            "\u{1b}[31mred\u{1b}[0m\u{7}",
            "\u{202e}gnp.exe",
            "\u{5e9}\u{5dc}\u{5d5}\u{5dd}",
            "成長",
            "👩\u{200d}🔬",
            "e\u{301}é ß Łódź ž αβγ Ω",
            "\u{0}\u{fffe}\u{2028}",
            "[x] *y",
            "?`!`,,''``---",
            "CON",
            "a:b",
            "^{2}",
            "{{7*7}}",
            "%n %s",
            "    indented",
            "trailing  ",
        ];
        prop_oneof![
            prop::sample::select(known.map(str::to_owned).to_vec()),
            any::<String>(),
            "[ -~]{0,40}",
            "[-_.*`<>|\\[\\]()#!&$~^{}'\"\\\\ \na1é]{0,20}",
            "[a-z]{250,320}",
            "[😀-😎]{60,80}",
        ]
    }

    proptest! {
        #[test]
        fn nothing_unseen_stays_unseen(text in nasty()) {
            let seen = visible(&text);
            prop_assert!(!seen.chars().any(|c| c.is_control() || "\u{202e}\u{2028}\u{200d}\u{2066}\u{feff}".contains(c)), "{seen:?}");
            let plain = text.chars().all(|c| matches!(c, ' '..='~'));
            prop_assert!(!plain || seen == text);
        }

        #[test]
        fn rendered_markdown_is_the_text(text in nasty(), other in nasty()) {
            let document = format!("# {0}\n\n{0}: said\n\n| a | b |\n|---|---|\n| {0} | {1} \
                                    |\n", markdown(&text), markdown(&other));
            let [mut lines, mut cells] = [vec![], vec![]];
            let mut own = String::new();
            for event in Parser::new_ext(&document, Options::all() - Options::ENABLE_SMART_PUNCTUATION) {
                match event {
                    Event::Text(piece) => own += &piece,
                    Event::End(TagEnd::Heading(_) | TagEnd::Paragraph) => lines.push(std::mem::take(&mut own)),
                    Event::End(TagEnd::TableCell) => cells.push(std::mem::take(&mut own)),
                    Event::Start(Tag::Heading { .. } | Tag::Paragraph | Tag::Table(_) | Tag::TableHead | Tag::TableRow | Tag::TableCell)
                    | Event::End(TagEnd::Table | TagEnd::TableHead | TagEnd::TableRow) => {}
                    other => prop_assert!(false, "{other:?} in {document:?}"),
                }
            }
            prop_assert_eq!(lines, [visible(&text), format!("{}: said", visible(&text))]);
            prop_assert_eq!(cells, ["a".to_owned(), "b".to_owned(), visible(&text), visible(&other)]);
        }

        #[test]
        fn xml_is_read_back(text in nasty()) {
            let document = format!("<a b=\"{0}\">{0}</a>", xml(&text));
            let read = usvg::roxmltree::Document::parse(&document).expect("XML");
            let root = read.root_element();
            prop_assert_eq!(root.text().unwrap_or_default(), visible(&text));
            prop_assert_eq!(root.attribute("b").map(str::to_owned), Some(visible(&text)));
        }

        #[test]
        fn csv_is_read_back_and_computes_nothing(text in nasty(), other in nasty()) {
            let bytes = csv(&[vec![text.clone(), other.clone()]]);
            let mut reader = csv::ReaderBuilder::new().has_headers(false).from_reader(&bytes[..]);
            let row = reader.records().next().expect("a row").expect("CSV");
            prop_assert_eq!(row.len(), 2);
            for (cell, text) in row.iter().zip([text, other]) {
                let is_number = text.trim_end_matches(MARK).split(" ± ").all(|part| part.parse::<f64>().is_ok());
                prop_assert!(is_number || !cell.starts_with(['=', '+', '-', '@', '\t', '\r']), "{cell:?}");
                prop_assert_eq!(cell.strip_prefix('\'').filter(|_| !text.starts_with('\'')).unwrap_or(cell), text);
            }
        }

        #[test]
        fn a_file_name_is_one_name_in_its_folder(text in nasty(), other in nasty()) {
            let name = file_name(&text);
            prop_assert!((1..=LONGEST).contains(&name.len()) && !name.starts_with(['.', '-']), "{name}");
            prop_assert!(name.chars().all(|c| c.is_ascii_alphanumeric() || "_-.%~".contains(c)), "{name}");
            prop_assert!(text == other || name != file_name(&other), "{text:?} and {other:?} are \
                {name}");
        }

        #[test]
        fn latex_has_no_active_character(text in nasty()) {
            let set = latex(&text);
            prop_assert!(set.is_ascii() && !set.chars().any(char::is_control), "{set:?}");
            let depth = set.replace("\\{", "").replace("\\}", "").chars().try_fold(0i32, |depth, c| match c {
                '{' => Some(depth + 1),
                '}' => Some(depth - 1).filter(|depth| *depth >= 0),
                _ => Some(depth),
            });
            prop_assert_eq!(depth, Some(0), "{}", set);
        }
    }

    #[test]
    fn every_ascii_character_under_ot1() {
        let own = |c: char| c.is_ascii_alphanumeric() || " !'()+,-./:;=?@`".contains(c);
        let set = |c: char| match c {
            '"' => "{\\ttfamily\\char34}".into(),
            '*' | '[' | ']' => format!("{{{c}}}"),
            '<' => "\\textless{}".into(),
            '>' => "\\textgreater{}".into(),
            '\\' => "\\textbackslash{}".into(),
            '^' => "\\textasciicircum{}".into(),
            '|' => "\\textbar{}".into(),
            '~' => "\\textasciitilde{}".into(),
            '\t' => "\\textbackslash{}t".into(),
            '\n' => "\\textbackslash{}n".into(),
            '\r' => "\\textbackslash{}r".into(),
            '\0' => "\\textbackslash{}0".into(),
            c if c.is_control() => format!("\\textbackslash{{}}u\\{{{:x}\\}}", u32::from(c)),
            c if own(c) => c.to_string(),
            c => format!("\\{c}"),
        };
        for c in (0..128u8).map(char::from) {
            assert_eq!(latex(&c.to_string()), set(c), "{c:?}");
        }
        assert_eq!(latex("a--b ''c''"), "a-{}-b '{}'c'{}'");
        assert_eq!(
            latex("Łódź ïe\u{301} α 成"),
            "\\L{}\\'{o}d\\'{z} \\\"{\\i}\\'{e} $\\alpha$ \\texttt{U+6210}"
        );
        assert_eq!(latex("0.123 ± 0.004"), "0.123 $\\pm$ 0.004");
    }

    /// Where LaTeX is installed, under both encodings.
    #[test]
    fn latex_compiles() {
        let folder = std::env::temp_dir().join(format!("outgrow-latex-{}", std::process::id()));
        std::fs::create_dir_all(&folder).expect("a folder");
        let ascii: String = (0..128u8).map(char::from).collect();
        let texts = [ascii.as_str(), "[x", "*", "ÀÉîõü çşžőå Łßæ αβΩ 成長 😀", "?`!`,,''``---<<>>"];
        for encoding in ["OT1", "T1"] {
            let rows: String =
                texts.iter().map(|text| format!("{} & {0} \\\\\n", latex(text))).collect();
            let source = format!(
                "\\documentclass{{article}}\\usepackage[{encoding}]{{fontenc}}\\begin{{document}}\n\\begin{{table}}\\caption{{{}}}\n\
                 \\begin{{tabular}}{{ll}}\n{rows}\\end{{tabular}}\\end{{table}}\\end{{document}}\n",
                latex(&texts.concat())
            );
            std::fs::write(folder.join("t.tex"), source).expect("written");
            let command = Command::new("pdflatex")
                .args(["-interaction=nonstopmode", "-halt-on-error", "t.tex"])
                .current_dir(&folder)
                .stdin(Stdio::null())
                .output();
            let Ok(output) = command else {
                outgrow_testkit::skip("pdflatex is not installed here");
                break;
            };
            assert!(
                output.status.success(),
                "{encoding}: {}",
                String::from_utf8_lossy(&output.stdout)
            );
        }
        std::fs::remove_dir_all(&folder).expect("removed");
    }
}
