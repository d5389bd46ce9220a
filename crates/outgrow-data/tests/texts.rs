//! What other people's files are, and what is wrong with them: each kind is read as its own tools
//! read it, or refused by name.

use std::{
    fs,
    io::Write,
    os::unix::fs::symlink,
    path::{Path, PathBuf},
    sync::Arc,
};

use arrow_array::{
    ArrayRef, BinaryArray, BinaryViewArray, DictionaryArray, Int32Array, Int64Array,
    LargeBinaryArray, LargeStringArray, RecordBatch, StringArray, StringViewArray, StructArray,
    types::Int32Type,
};
use arrow_schema::{DataType, Field, Schema};
use outgrow_core::sweep::{DataSpec, TextFormat};
use outgrow_data::{Corpus, CorpusError, Summary, Survey, plain_text, survey, train_bpe};
use parquet::{arrow::ArrowWriter, basic::Compression, file::properties::WriterProperties};
use proptest::prelude::*;
use tempfile::TempDir;

/// A folder with a tokenizer in it.
struct Sandbox {
    folder: TempDir,
}

impl Sandbox {
    fn new() -> Self {
        let sandbox = Self { folder: tempfile::tempdir().expect("a folder") };
        let text = ["growing models grow", "other models wait"].map(str::to_owned);
        sandbox.write("t.json", train_bpe(text.into_iter(), 270).expect("a tokenizer"));
        sandbox
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    fn write(&self, name: &str, bytes: impl AsRef<[u8]>) -> PathBuf {
        let path = self.path(name);
        fs::create_dir_all(path.parent().expect("a folder")).expect("a folder");
        fs::write(&path, bytes).expect("written");
        path
    }

    /// Data of these files, with the tokenizer.
    fn spec(&self, names: &[&str]) -> DataSpec {
        let text = |name: &str| self.path(name).display().to_string();
        DataSpec {
            tokenizer: Some(text("t.json")),
            end_of_text: Some("<|endoftext|>".into()),
            ..self.bytes(names)
        }
    }

    fn bytes(&self, names: &[&str]) -> DataSpec {
        let text = |name: &&str| self.path(name).display().to_string();
        DataSpec { paths: Some(names.iter().map(text).collect()), ..DataSpec::of_paths(1) }
    }

    fn survey(&self, name: &str) -> Result<Summary, CorpusError> {
        survey(&self.spec(&[name]), Survey::default(), &())
    }

    fn documents(&self, name: &str) -> u64 {
        self.survey(name).unwrap_or_else(|error| panic!("{name}: {error}")).counts.documents[0]
    }

    /// Each is refused, by its name and these words, in a line.
    fn refused(&self, cases: &[(&str, &[u8], &str)]) {
        for (name, bytes, words) in cases {
            self.write(name, bytes);
            let error = self.survey(name).expect_err(name).to_string();
            assert!(
                error.contains(name) && error.contains(words) && !error.contains('\n'),
                "{name}: {error}"
            );
        }
    }
}

const LINES: &str = "{\"text\": \"models grow\", \"url\": \"u\"}\n{\"text\": \"others wait\"}\n{\"text\": \"a\\u0062\"}\n";

fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = flate2::write::GzEncoder::new(vec![], flate2::Compression::fast());
    encoder.write_all(bytes).expect("written");
    encoder.finish().expect("finished")
}

fn zstd_long(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = zstd::Encoder::new(vec![], 1).expect("an encoder");
    encoder.window_log(31).expect("a window");
    encoder.write_all(bytes).expect("written");
    encoder.finish().expect("finished")
}

fn zstd(bytes: &[u8]) -> Vec<u8> {
    zstd::encode_all(bytes, 1).expect("packed")
}

#[test]
fn the_same_documents_are_read_whatever_holds_them() {
    let sandbox = Sandbox::new();
    let objects = LINES.lines().collect::<Vec<_>>();
    let array = format!("[\n  {}\n]\n", objects.join(",\n  "));
    let pretty: Vec<String> = objects
        .iter()
        .map(|line| {
            serde_json::to_string_pretty(&serde_json::from_str::<serde_json::Value>(line).unwrap())
                .unwrap()
        })
        .collect();
    let lines = LINES.as_bytes();
    let (first, rest) = lines.split_at(LINES.find('\n').expect("a line") + 1);
    let skippable = [b"\x50\x2a\x4d\x18\x03\0\0\0abc".to_vec(), zstd(lines)].concat();
    let files: Vec<(&str, Vec<u8>)> = vec![
        ("a.jsonl", lines.to_vec()),
        ("a.ndjson", lines.to_vec()),
        ("a.json", lines.to_vec()),
        ("a.txt", lines.to_vec()),
        ("a", lines.to_vec()),
        ("part-00000", lines.to_vec()),
        ("A.JSONL", lines.to_vec()),
        ("no-end.jsonl", LINES.trim_end().as_bytes().to_vec()),
        ("crlf.jsonl", LINES.replace('\n', "\r\n").into_bytes()),
        ("empty-lines.jsonl", LINES.replace('\n', "\n\n \n").into_bytes()),
        ("mark.jsonl", [b"\xef\xbb\xbf", lines].concat()),
        ("mark.json", [b"\xef\xbb\xbf", lines].concat()),
        ("mark-array.json", [b"\xef\xbb\xbf", array.as_bytes()].concat()),
        ("array.json", array.clone().into_bytes()),
        ("array.txt", array.clone().into_bytes()),
        ("array.jsonl", array.clone().into_bytes()),
        ("one-line-array.json", array.replace('\n', " ").into_bytes()),
        ("pretty.json", pretty.join("\n").into_bytes()),
        ("a.json.gz", gzip(lines)),
        ("a.jsonl.gz", gzip(lines)),
        ("array.json.gz", gzip(array.as_bytes())),
        ("no-ending-gzip", gzip(lines)),
        ("gzip.jsonl", gzip(lines)),
        ("members.jsonl.gz", [gzip(first), gzip(rest)].concat()),
        ("padded.jsonl.gz", [gzip(lines), vec![0; 700]].concat()),
        ("a.jsonl.zst", zstd(lines)),
        ("a.json.zst", zstd(lines)),
        ("zstd.jsonl", zstd(lines)),
        ("frames.jsonl.zst", [zstd(first), zstd(rest)].concat()),
        ("skippable.jsonl.zst", skippable),
        ("long.jsonl.zst", zstd_long(lines)),
        ("mark.jsonl.zst", zstd(&[b"\xef\xbb\xbf", lines].concat())),
        (
            "nan.jsonl",
            LINES.replace("\"url\"", "\"score\": NaN, \"x\": [-Infinity], \"url\"").into_bytes(),
        ),
        ("halves.jsonl", LINES.replace("\"u\"", "\"u\\ud83d\"").into_bytes()),
    ];
    sandbox.write("reference.jsonl", lines);
    let expected = sandbox.survey("reference.jsonl").expect("read").counts;
    assert_eq!(expected.documents, [3, 0]);
    for (name, bytes) in files {
        sandbox.write(name, bytes);
        let found = sandbox.survey(name).unwrap_or_else(|error| panic!("{name}: {error}"));
        assert_eq!(found.counts, expected, "{name}");
        let bytes = survey(&sandbox.bytes(&[name]), Survey::default(), &()).expect(name);
        assert_eq!((bytes.counts.documents, bytes.counts.tokens), ([3, 0], [24 + 3, 0]), "{name}");
    }
}

fn column(array: ArrayRef) -> RecordBatch {
    let schema = Schema::new(vec![Field::new("text", array.data_type().clone(), true)]);
    RecordBatch::try_new(Arc::new(schema), vec![array]).expect("a batch")
}

fn parquet(batch: &RecordBatch, compression: Compression) -> Vec<u8> {
    let mut bytes = vec![];
    let properties = WriterProperties::builder()
        .set_compression(compression)
        .set_max_row_group_row_count(Some(2))
        .build();
    let mut writer =
        ArrowWriter::try_new(&mut bytes, batch.schema(), Some(properties)).expect("a writer");
    writer.write(batch).expect("written");
    writer.close().expect("closed");
    bytes
}

#[test]
fn columns_of_text_are_read_whatever_their_type() {
    let sandbox = Sandbox::new();
    let texts = [Some("models grow"), None, Some(""), Some("others wait"), Some("ab")];
    let lines = texts.map(|text| serde_json::json!({ "text": text }).to_string() + "\n").concat();
    sandbox.write("reference.jsonl", lines);
    let expected = sandbox.survey("reference.jsonl").expect("read").counts;
    assert_eq!((expected.documents, expected.skipped.null, expected.skipped.empty), ([3, 0], 1, 1));
    let bytes = texts.map(|text| text.map(str::as_bytes));
    let keys = Int32Array::from(vec![Some(0), None, Some(1), Some(2), Some(3)]);
    let words = Arc::new(StringArray::from(vec!["models grow", "", "others wait", "ab"]));
    let dictionary = DictionaryArray::<Int32Type>::try_new(keys, words).expect("a dictionary");
    let arrays: Vec<(&str, ArrayRef)> = vec![
        ("string", Arc::new(StringArray::from(texts.to_vec()))),
        ("large", Arc::new(LargeStringArray::from(texts.to_vec()))),
        ("view", Arc::new(StringViewArray::from(texts.to_vec()))),
        ("binary", Arc::new(BinaryArray::from(bytes.to_vec()))),
        ("large-binary", Arc::new(LargeBinaryArray::from(bytes.to_vec()))),
        ("binary-view", Arc::new(BinaryViewArray::from_iter(bytes))),
        ("dictionary", Arc::new(dictionary)),
    ];
    for (name, array) in arrays {
        for (codec, compression) in [
            ("none", Compression::UNCOMPRESSED),
            ("snappy", Compression::SNAPPY),
            ("gzip", Compression::GZIP(Default::default())),
            ("zstd", Compression::ZSTD(Default::default())),
        ] {
            for file in [format!("{name}-{codec}.parquet"), format!("{name}-{codec}")] {
                sandbox.write(&file, parquet(&column(array.clone()), compression));
                assert_eq!(sandbox.survey(&file).expect(&file).counts, expected, "{file}");
            }
        }
    }
    // Within another field, as in JSON.
    let inner: ArrayRef = Arc::new(StringArray::from(texts.to_vec()));
    let within =
        StructArray::from(vec![(Arc::new(Field::new("body", DataType::Utf8, true)), inner)]);
    sandbox.write("nested.parquet", parquet(&column(Arc::new(within)), Compression::SNAPPY));
    sandbox.write(
        "nested.jsonl",
        texts
            .map(|text| serde_json::json!({ "text": { "body": text } }).to_string() + "\n")
            .concat(),
    );
    for name in ["nested.parquet", "nested.jsonl"] {
        let spec = DataSpec { field: Some("text.body".into()), ..sandbox.spec(&[name]) };
        assert_eq!(survey(&spec, Survey::default(), &()).expect(name).counts, expected, "{name}");
        let error = sandbox.survey(name).expect_err("no text").to_string();
        assert!(error.contains("data.field"), "{error}");
    }
    let numbers = column(Arc::new(Int64Array::from(vec![1, 2])));
    sandbox.refused(&[
        ("numbers.parquet", &parquet(&numbers, Compression::SNAPPY), "Int64, not text"),
        (
            "invalid.parquet",
            &parquet(
                &column(Arc::new(BinaryArray::from(vec![Some(&b"\xff"[..])]))),
                Compression::SNAPPY,
            ),
            "no UTF-8",
        ),
    ]);
}

#[test]
fn what_is_no_text_is_refused_by_name() {
    let sandbox = Sandbox::new();
    let lines = LINES.as_bytes();
    let whole =
        parquet(&column(Arc::new(StringArray::from(vec!["models grow"]))), Compression::SNAPPY);
    let utf16: Vec<u8> = [0xfeff]
        .into_iter()
        .chain("models grow".encode_utf16())
        .flat_map(u16::to_le_bytes)
        .collect();
    let utf16_be: Vec<u8> = [0xfeff]
        .into_iter()
        .chain("models grow".encode_utf16())
        .flat_map(u16::to_be_bytes)
        .collect();
    let utf32: Vec<u8> =
        "\u{feff}models".chars().flat_map(|c| u32::from(c).to_le_bytes()).collect();
    let bare_utf16: Vec<u8> = "models".encode_utf16().flat_map(u16::to_le_bytes).collect();
    let long = "x".repeat(100_000);
    let packed = zstd(long.as_bytes());
    let mut tar = vec![0; 512];
    tar[..5].copy_from_slice(b"a.txt");
    tar[257..262].copy_from_slice(b"ustar");
    let (tar_gz, twice) = (gzip(&tar), gzip(&gzip(lines)));
    let (parquet_gz, lines_gz) = (gzip(&whole), gzip(lines));
    let garbage = [gzip(lines), b"garbage".to_vec()].concat();
    let nothing = gzip(b"");
    let rows = |rows: Vec<Option<&str>>| {
        parquet(&column(Arc::new(StringArray::from(rows))), Compression::SNAPPY)
    };
    let (no_rows, nulls) = (rows(vec![]), rows(vec![None, None]));
    let cases: Vec<(&str, &[u8], &str)> = vec![
        ("utf16.txt", &utf16, "UTF-16"),
        ("utf16be.jsonl", &utf16_be, "UTF-16"),
        ("utf32.txt", &utf32, "UTF-32"),
        ("bare.txt", &bare_utf16, "line 1: byte 1 is NUL"),
        ("latin1.txt", b"first line\ncaf\xe9\n", "line 2: byte 14 is no UTF-8"),
        ("latin1.jsonl", b"{\"text\": \"caf\xe9\"}\n", "line 1"),
        ("nul.txt", b"a\nb\nc\0\n", "line 3: byte 5 is NUL"),
        ("picture.txt", b"\x89PNG\r\n\x1a\n....", "picture"),
        ("a.pdf", b"%PDF-1.4", "PDF"),
        ("a.bz2", b"BZh91AY&SY....", "bzip2; unpack"),
        ("a.jsonl.xz", b"\xfd7zXZ\0....", "xz; unpack"),
        ("a.txt.lz4", b"\x04\x22\x4d\x18....", "lz4; unpack"),
        ("a.zip", b"PK\x03\x04....", "zip archive; unpack"),
        ("zip.jsonl", b"PK\x03\x04....", "zip archive; unpack"),
        ("a.7z", b"7z\xbc\xaf\x27\x1c....", "7z"),
        ("a.tar", &tar, "tar archive"),
        ("a.tar.gz", &tar_gz, "tar archive"),
        ("a.arrow", b"ARROW1\0\0", "Arrow"),
        ("a.npy", b"\x93NUMPY\x01\0", "NumPy"),
        ("a.csv", b"text,url\na,b\n", "format = \"text\""),
        ("a.tsv", b"text\turl\n", "format = \"text\""),
        ("lfs.txt", b"version https://git-lfs.github.com/spec/v1\noid sha256:1\n", "git lfs pull"),
        ("twice.gz", &twice, "twice"),
        ("twice.parquet.gz", &parquet_gz, "Parquet that was compressed again"),
        ("not.jsonl.gz", lines, "gzip"),
        ("not.jsonl.zst", lines, "zstd"),
        ("not.parquet", lines, "Parquet, and it is not"),
        ("not.json", b"plain text", "neither { nor ["),
        ("cut.jsonl.gz", &lines_gz[..30], "cut.jsonl.gz"),
        ("cut.txt.zst", &packed[..packed.len() - 3], "cut.txt.zst"),
        ("cut.parquet", &whole[..whole.len() / 2], "no whole Parquet"),
        ("cut.jsonl", &lines[..lines.len() - 5], "line 3: it is no JSON"),
        ("cut.json", b"[{\"text\": \"a\"},\n{\"text\": \"b", "begins on line 2 has no end"),
        ("open.json", b"[{\"text\": \"a\"},\n", "no end"),
        ("more.json", b"[{\"text\": \"a\"}] {\"text\": \"b\"}", "something else"),
        ("strings.json", b"[\"a\", \"b\"]", "something else"),
        ("strings.jsonl", b"\"a\"\n", "line 1: it is no JSON object"),
        ("columns.json", b"{\"text\": {\"0\": \"a\"}}", "an object, not text"),
        ("number.jsonl", b"{\"text\": \"a\"}\n{\"text\": 5}\n", "line 2: its `text` is a number"),
        ("other.jsonl", b"{\"body\": \"a\", \"id\": 1}\n", "but body, id"),
        ("other.json", b"[{\"body\": \"a\"}]", "but body"),
        ("settings.json", b"{\n \"name\": 1\n}", "but name"),
        ("empty.jsonl", b"", "is empty"),
        ("commas.json", b"[,,{\"text\": \"a\"},,]", "array is broken"),
        (
            "two-commas.json",
            b"[{\"text\": \"a\"},\n,{\"text\": \"b\"}]",
            "line 2: its array is broken",
        ),
        ("no-comma.json", b"[{\"text\": \"a\"} {\"text\": \"b\"}]", "array is broken"),
        ("last-comma.json", b"[{\"text\": \"a\"},]", "array is broken"),
        ("only-comma.json", b"[,]", "array is broken"),
        ("joined.json", b"{\"text\": \"a\"},{\"text\": \"b\"}", "something else"),
        ("a.ipynb", b"{\n \"cells\": []\n}", "notebook"),
        ("garbage.jsonl.gz", &garbage, "behind its gzip stands something else"),
        ("mark.txt", b"\xef\xbb\xbf", "no text in it"),
        ("mark.jsonl", b"\xef\xbb\xbf\n", "no text in it"),
        ("blank.jsonl", b"\n \n", "no text in it"),
        ("empty.txt.gz", &nothing, "no text in it"),
        ("empty.json.gz", &nothing, "no text in it"),
        ("empty-array.json", b"[]", "no text in it"),
        ("rows.parquet", &no_rows, "no text in it"),
        ("nulls.parquet", &nulls, "no text in it (2 entries: 2 null)"),
        ("nulls.jsonl", b"{\"text\": null}\n{\"text\": \"\"}\n", "(2 entries: 1 null, 1 empty)"),
    ];
    sandbox.refused(&cases);
    // Also as bytes, but for text in an encoding that none of these marks tells: that is bytes like
    // others.
    for (name, _, words) in
        cases.iter().filter(|(name, ..)| !["bare.txt", "latin1.txt", "nul.txt"].contains(name))
    {
        let error =
            survey(&sandbox.bytes(&[name]), Survey::default(), &()).expect_err(name).to_string();
        assert!(error.contains(words), "{name}: {error}");
    }
    for name in ["bare.txt", "latin1.txt", "nul.txt"] {
        survey(&sandbox.bytes(&[name]), Survey::default(), &()).expect(name);
    }
    // The user's word stands above what a file seems to be.
    for name in ["a.csv", "not.json", "settings.json", "columns.json"] {
        let spec = DataSpec { format: Some(TextFormat::Text), ..sandbox.spec(&[name]) };
        assert_eq!(
            survey(&spec, Survey::default(), &()).expect(name).counts.documents,
            [1, 0],
            "{name}"
        );
    }
    sandbox.write("lines.md", LINES);
    let spec = DataSpec { format: Some(TextFormat::Json), ..sandbox.spec(&["lines.md"]) };
    assert_eq!(survey(&spec, Survey::default(), &()).expect("read").counts.documents, [3, 0]);
}

#[test]
fn plain_text_is_read_as_it_stands() {
    let sandbox = Sandbox::new();
    for (name, bytes) in [
        ("a.txt", &b"{curly} beginnings\n"[..]),
        ("b.txt", b"[1] a reference\n"),
        ("c.txt", b"{\"a\": 1} and prose\n"),
        ("d.md", b"# title\r\n\r\ntext\r\n"),
        ("e", b"\n\n  text"),
        ("f.rs", b"fn main() {}\n"),
        ("g.txt", b"{\"text\": \"a\"}\nthen prose\n"),
        ("h.xml", b"<a>b</a>"),
    ] {
        sandbox.write(name, bytes);
        let found = sandbox.survey(name).unwrap_or_else(|error| panic!("{name}: {error}"));
        assert_eq!(
            (found.counts.documents, found.counts.bytes),
            ([1, 0], [bytes.len() as u64, 0]),
            "{name}"
        );
        assert_eq!(found.counts.changed, 0, "{name}");
        // A mark is no text, and bytes are the same with and without it.
        sandbox.write("marked", [b"\xef\xbb\xbf", bytes].concat());
        let marked = survey(&sandbox.bytes(&["marked"]), Survey::default(), &()).expect(name);
        let plain = survey(&sandbox.bytes(&[name]), Survey::default(), &()).expect(name);
        assert_eq!((marked.digest, marked.counts), (plain.digest, plain.counts), "{name}");
    }
}

#[test]
fn folders_of_data_are_their_data() {
    let sandbox = Sandbox::new();
    sandbox.write("ds/data/x.jsonl", LINES);
    sandbox.write("ds/data/y.json", LINES);
    let alone = sandbox.survey("ds").expect("read");
    for (name, bytes) in [
        ("ds/README.md", &b"# Card\n"[..]),
        ("ds/LICENSE", b"free\n"),
        ("ds/LICENSE.txt", b"free\n"),
        ("ds/dataset_infos.json", b"{\"default\": {\"features\": 3}}\n"),
        ("ds/stats.json", b"{\"documents\": 3}\n"),
        ("ds/.gitattributes", b"*.jsonl filter=lfs\n"),
        ("ds/load.py", b"print(1)\n"),
        ("ds/logo.png", b"\x89PNG\r\n\x1a\n"),
        ("ds/_SUCCESS", b""),
    ] {
        sandbox.write(name, bytes);
    }
    let found = sandbox.survey("ds").expect("read");
    assert_eq!((&found.digest, &found.counts), (&alone.digest, &alone.counts));
    assert_eq!(found.left_out.len(), 9, "{:?}", found.left_out);
    assert_eq!(found.files[0].files, 2);
    // Texts beside them are read, and what is named as data is never passed over.
    sandbox.write("ds/more.txt", "plain text\n");
    assert_eq!(sandbox.documents("ds"), 7);
    sandbox.refused(&[("ds/z.jsonl.xz", b"\xfd7zXZ\0", "xz")]);
    assert!(sandbox.survey("ds").expect_err("refused").to_string().contains("z.jsonl.xz"));
    // Without data, all of a folder is text.
    for (name, bytes) in [
        ("code/a.rs", "fn a() {}"),
        ("code/README.md", "# b"),
        ("code/package.json", "{\n \"name\": \"c\"\n}"),
    ] {
        sandbox.write(name, bytes);
    }
    // Settings are no text.
    let code = sandbox.survey("code").expect("read");
    assert_eq!(code.counts.documents, [2, 0]);
    assert!(code.left_out[0].path.ends_with("package.json"), "{:?}", code.left_out);
    assert!(code.left_out[0].why.contains("but name"), "{:?}", code.left_out);
    // But not if it is data whose field is another one.
    sandbox.write("mistaken/README.md", "# Card");
    sandbox.write("mistaken/a.json", LINES.replace("\"text\"", "\"content\""));
    assert!(sandbox.survey("mistaken").expect_err("refused").to_string().contains("but content"));
}

#[test]
fn json_without_the_text_is_never_trained_on() {
    let sandbox = Sandbox::new();
    let one = b"{\"content\": \"real\"}".as_slice();
    let pretty = b"{\n \"content\": \"real\",\n \"n\": [{\"text\": 1}]\n}\n".as_slice();
    let array = b"[{\"content\": \"a\"}, {\"content\": \"b\"}]".as_slice();
    let lines = b"{\"content\": \"a\"}\n{\"content\": \"b\"}\n".as_slice();
    let notebook = b"{\n \"cells\": []\n}".as_slice();
    let packed = [one, pretty, array, lines].map(gzip);
    let mut cases = vec![
        ("one.json", one, "its object has no text `text`, but content"),
        ("pretty.json", pretty, "its object has no text `text`, but content, n"),
        ("array.json", array, "none of its 2 objects has a text `text`, but content"),
        ("lines.json", lines, "none of its 2 objects has a text `text`, but content"),
        ("part-0", lines, "none of its 2 objects"),
        ("none.json", b"[]", "no object"),
        ("a.ipynb", notebook, "notebook"),
    ];
    for (packed, name) in
        packed.iter().zip(["one.json.gz", "pretty.json.gz", "array.json.gz", "lines.json.gz"])
    {
        cases.push((name, packed, "but content"));
    }
    for (n, (name, bytes, words)) in cases.into_iter().enumerate() {
        for (beside, text) in [("a.txt", "models wait"), ("a.jsonl", "{\"text\": \"a\"}\n")] {
            let folder = format!("{n}-{beside}");
            sandbox.write(&format!("{folder}/{beside}"), text);
            sandbox.write(&format!("{folder}/{name}"), bytes);
            for spec in [sandbox.spec(&[&folder]), sandbox.bytes(&[&folder])] {
                let found = survey(&spec, Survey::default(), &()).expect(name);
                assert_eq!(found.counts.documents, [1, 0], "{name} beside {beside}");
                assert_eq!(found.left_out.len(), 1, "{name} beside {beside}");
                let left = &found.left_out[0];
                assert!(left.path.ends_with(name) && left.why.contains(words), "{left:?}");
            }
        }
        // Alone, or named by hand, it is refused.
        let alone = format!("{n}-alone");
        sandbox.write(&format!("{alone}/{name}"), bytes);
        let (by_hand, text) = (format!("{n}-a.txt/{name}"), format!("{n}-a.txt/a.txt"));
        let mut all = vec![vec![&*alone], vec![&*by_hand]];
        // What has no entry has no other text, either.
        if name != "none.json" {
            all.extend([vec![&*text, &*by_hand], vec![&*alone, &*text]]);
        }
        for names in &all {
            for spec in [sandbox.spec(names), sandbox.bytes(names)] {
                let error = survey(&spec, Survey::default(), &()).expect_err(name).to_string();
                assert!(error.contains(name), "{names:?}: {error}");
            }
        }
    }
    // As it stands, if the user wants that.
    let spec = DataSpec { format: Some(TextFormat::Text), ..sandbox.spec(&["0-a.txt"]) };
    assert_eq!(survey(&spec, Survey::default(), &()).expect("read").counts.documents, [2, 0]);
}

#[test]
fn data_is_data_whichever_of_its_entries_has_the_text() {
    let sandbox = Sandbox::new();
    let packed = gzip(b"[{\"id\": 0}, {\"text\": \"real\"}]");
    let many = "{\"id\": 0}\n".repeat(900) + "{\"text\": \"real\"}\n";
    let late = "{\"id\": 0}\n".repeat(1100) + "{\"text\": \"real\"}\n";
    for (beside, text) in [("a.jsonl", "{\"text\": \"real one\"}\n"), ("a.txt", "real one")] {
        for (name, bytes, missing) in [
            ("c.json", &b"{\"id\": 0}\n{\"text\": \"real\"}"[..], 1),
            ("d.json", b"[{\"id\": 0}, {\"text\": \"real\"}]", 1),
            ("e.json", b"{\n\"id\": 0}\n{\n\"text\": \"real\"}", 1),
            ("f.json.gz", &packed, 1),
            ("g", b"{\"id\": 0}\n{\"id\": 1}\n{\"text\": \"real\"}", 2),
            ("h.json", many.as_bytes(), 900),
        ] {
            let folder = format!("{beside}-{name}");
            sandbox.write(&format!("{folder}/{beside}"), text);
            sandbox.write(&format!("{folder}/{name}"), bytes);
            let found = sandbox.survey(&folder).expect(name);
            let skipped = found.counts.skipped.missing;
            assert_eq!((found.counts.documents, skipped), ([2, 0], missing), "{folder}");
            assert!(found.left_out.is_empty(), "{folder}: {:?}", found.left_out);
        }
        // What is damaged is no less data, nor is what is cut off.
        for (name, bytes) in [
            ("x.json", &b"{\"id\": 0}\n{\"text\": \"real\"}\n{\"text\": \"re"[..]),
            ("y.json", b"[{\"text\": \"re"),
            ("z.json", b"[{\"text\": \"real\"} nonsense]"),
        ] {
            let folder = format!("{beside}-{name}");
            sandbox.write(&format!("{folder}/{beside}"), text);
            sandbox.write(&format!("{folder}/{name}"), bytes);
            let error = sandbox.survey(&folder).expect_err(name).to_string();
            assert!(error.contains(name), "{error}");
        }
    }
    // So many without one are none, and that is said.
    sandbox.write("late/a.jsonl", "{\"text\": \"real one\"}\n");
    sandbox.write("late/b.json", late);
    let left = sandbox.survey("late").expect("read").left_out;
    assert!(left[0].why.contains("none of its 1000 objects"), "{left:?}");
}

#[test]
fn all_paths_decide_together_what_is_read() {
    let sandbox = Sandbox::new();
    for (name, bytes) in [
        ("w/data/x.jsonl", LINES),
        ("w/README.md", "# Card\n"),
        ("w/LICENSE", "free\n"),
        ("w/docs/a.md", "words\n"),
        ("w/docs/b.rs", "fn b() {}\n"),
        ("notes/README.md", "# notes\n"),
        ("v/y.jsonl", "{\"text\": \"held out\"}\n"),
    ] {
        sandbox.write(name, bytes);
    }
    fs::create_dir(sandbox.path("links")).expect("a folder");
    symlink("../w/data", sandbox.path("links/data")).expect("a link");
    sandbox.write("links/README.md", "# Card\n");
    // Documents, and whether the card, the license and two texts are left out.
    let cases: [(&[&str], u64, &[&str]); 14] = [
        (&["w"], 3, &["README.md", "LICENSE", "a.md", "b.rs"]),
        (&["w/data", "w"], 3, &["README.md", "LICENSE", "a.md", "b.rs"]),
        (&["w", "w/data"], 3, &["README.md", "LICENSE", "a.md", "b.rs"]),
        (&["w/data/x.jsonl", "w"], 3, &["README.md", "LICENSE", "a.md", "b.rs"]),
        // What is named by hand is read.
        (&["w", "w/README.md"], 4, &["LICENSE", "a.md", "b.rs"]),
        (&["w/README.md", "w"], 4, &["LICENSE", "a.md", "b.rs"]),
        (&["w", "w/docs"], 5, &["README.md", "LICENSE"]),
        (&["w/docs", "w"], 5, &["README.md", "LICENSE"]),
        (&["w", "w/docs/a.md"], 4, &["README.md", "LICENSE", "b.rs"]),
        (&["w/data", "w/README.md"], 4, &[]),
        // Another folder is not beside it.
        (&["w", "notes"], 4, &["w/README.md", "LICENSE", "a.md", "b.rs"]),
        (&["notes", "w/data"], 4, &[]),
        (&["w/data", "links"], 3, &["links/README.md"]),
        (&["links", "w"], 3, &["links/README.md", "w/README.md", "LICENSE", "a.md", "b.rs"]),
    ];
    for (names, documents, left_out) in cases {
        let found = survey(&sandbox.spec(names), Survey::default(), &()).expect("read");
        assert_eq!(found.counts.documents, [documents, 0], "{names:?}");
        let left = found.left_out.iter().filter(|file| !file.why.contains("already"));
        let left: Vec<&str> = left.map(|file| &*file.path).collect();
        assert_eq!(left.len(), left_out.len(), "{names:?}: {left:?}");
        for name in left_out {
            assert!(left.iter().any(|path| path.ends_with(name)), "{names:?}: {left:?}");
        }
    }
    // Validation text is beside it, too.
    let with = |validation: &[&str], names: &[&str]| {
        let paths = sandbox.bytes(validation).paths;
        let spec = DataSpec { validation_paths: paths, ..sandbox.spec(names) };
        survey(&spec, Survey::default(), &())
    };
    let documents = |validation: &[&str], names: &[&str]| {
        with(validation, names).expect("read").counts.documents
    };
    assert_eq!(documents(&["v"], &["w"]), [3, 1]);
    assert_eq!(documents(&["w/data"], &["w", "v"]), [1, 3]);
    assert_eq!(documents(&["w"], &["w/README.md", "w/docs/a.md"]), [2, 3]);
    assert_eq!(documents(&["w/README.md"], &["w"]), [3, 1]);
    for (validation, names) in [
        (&["w"][..], &["w"][..]),
        (&["w/data"], &["w"]),
        (&["w"], &["w/data", "w/data/x.jsonl"]),
        (&["w/data/x.jsonl"], &["w", "links"]),
    ] {
        let error = with(validation, names).expect_err("no training text").to_string();
        assert!(error.contains("all of its files are validation text"), "{error}");
    }
}

#[test]
fn each_file_is_read_once() {
    let sandbox = Sandbox::new();
    let file = sandbox.write("l/x.jsonl", LINES);
    symlink("x.jsonl", sandbox.path("l/y.jsonl")).expect("a link");
    fs::hard_link(&file, sandbox.path("l/z.jsonl")).expect("a link");
    fs::create_dir(sandbox.path("other")).expect("a folder");
    symlink("../l", sandbox.path("other/m")).expect("a link");
    symlink("../l", sandbox.path("other/n")).expect("a link");
    for names in [
        &["l"][..],
        &["l", "l"],
        &["l/x.jsonl", "l/y.jsonl"],
        &["other"],
        &["l", "other", "l/z.jsonl"],
    ] {
        let found = survey(&sandbox.spec(names), Survey::default(), &()).expect("read");
        assert_eq!(found.counts.documents, [3, 0], "{names:?}");
        assert!(
            found.left_out.iter().any(|left_out| left_out.why.contains("already")),
            "{names:?}: {:?}",
            found.left_out
        );
    }
    // Links that go round, to nothing, or to what is no file.
    for (link, to, words) in [
        ("loop", "..", "leads back"),
        ("self", ".", "leads back"),
        ("none", "nowhere", "cannot read"),
    ] {
        symlink(to, sandbox.path("l").join(link)).expect("a link");
        let error = sandbox.survey("l").expect_err(link).to_string();
        assert!(error.contains(link) && error.contains(words) && error.len() < 300, "{error}");
        fs::remove_file(sandbox.path("l").join(link)).expect("removed");
    }
    // Each is told as what it is.
    fs::create_dir(sandbox.path("hidden")).expect("a folder");
    sandbox.write("hidden/.a.txt", "a");
    sandbox.write("hidden/.b.txt", "b");
    symlink("nowhere", sandbox.path("dangling")).expect("a link");
    for (name, words) in [
        ("hidden", "nothing in it is read"),
        ("hidden", ".a.txt (hidden) and 1 more"),
        ("dangling", "it is a link to nowhere, and nothing is there"),
        ("l/*.parquet", "no file or folder matches this pattern"),
        ("l/[ab].jsonl", "no file or folder matches this pattern"),
        ("l/none.jsonl", "l/none.jsonl: No such file or directory (os error 2)"),
    ] {
        let error = sandbox.survey(name).expect_err(name).to_string();
        assert!(error.contains(name) && error.contains(words), "{error}");
    }
    let pipe = sandbox.path("l/pipe.jsonl");
    let made = std::process::Command::new("mkfifo").arg(&pipe).status().expect("it runs");
    assert!(made.success());
    for path in ["l", "l/pipe.jsonl", "/dev/zero"] {
        let error = sandbox.survey(path).expect_err("special").to_string();
        assert!(error.contains("not a file"), "{error}");
    }
}

#[test]
fn files_of_the_database_are_left_out_and_never_opened() {
    let sandbox = Sandbox::new();
    let own = ["o.db", "o.db-wal", "o.db-shm", "o.db-journal", "o.db.text", "o.db.checkpoints"]
        .map(|name| sandbox.path("d").join(name));
    sandbox.write("v.txt", "models wait");
    sandbox.write("d/x.jsonl", LINES);
    let alone = sandbox.survey("d").expect("read");
    sandbox.write("d/o.db.text/a.train", "prepared");
    sandbox.write("d/o.db.checkpoints/t/model.json", "{}");
    sandbox.write("d/o.db", b"SQLite format 3\0");
    // Whoever opens a pipe waits for ever; so does a socket's reader fail.
    for name in ["d/o.db-wal", "d/o.db-shm"] {
        let made = std::process::Command::new("mkfifo").arg(sandbox.path(name)).status();
        assert!(made.expect("it runs").success());
    }
    // By another name, they are the same files.
    fs::hard_link(sandbox.path("d/o.db"), sandbox.path("d/copy.db")).expect("a link");
    symlink("o.db-wal", sandbox.path("d/log")).expect("a link");
    symlink("o.db.text/a.train", sandbox.path("d/prepared.txt")).expect("a link");
    symlink("d", sandbox.path("e")).expect("a link");
    for name in ["d", "e"] {
        let how = Survey { own: &own, ..Survey::default() };
        let found = survey(&sandbox.spec(&[name]), how, &()).expect("read");
        assert_eq!((&found.digest, &found.counts), (&alone.digest, &alone.counts), "{name}");
        let mut left: Vec<String> = found.left_out.iter().map(|file| file.path.clone()).collect();
        left.sort();
        let expected = [
            "copy.db",
            "log",
            "o.db",
            "o.db-shm",
            "o.db-wal",
            "o.db.checkpoints",
            "o.db.text",
            "prepared.txt",
        ];
        let expected = expected.map(|file| sandbox.path(name).join(file).display().to_string());
        assert_eq!(left, expected);
        assert!(found.left_out.iter().all(|file| file.why == "it belongs to this database"));
        let spec = DataSpec {
            validation_paths: Some(vec![sandbox.path("v.txt").display().to_string()]),
            ..sandbox.spec(&[name])
        };
        let (_, opened) =
            Corpus::open_told(&spec, &sandbox.path("c"), &own, &()).expect("it is prepared");
        assert_eq!(opened.left_out, found.left_out);
    }
    // Named by hand they are refused.
    for name in ["d/o.db", "d/o.db-wal", "d/o.db.text", "d/o.db.text/a.train", "d/copy.db"] {
        let how = Survey { own: &own, ..Survey::default() };
        let error = survey(&sandbox.spec(&[name]), how, &()).expect_err(name).to_string();
        assert!(error.contains(name) && error.contains("belongs to this database"), "{error}");
    }
}

#[test]
fn a_hubs_cache_is_read_through_its_links() {
    let sandbox = Sandbox::new();
    sandbox.write("hub/blobs/0a1b", LINES);
    sandbox.write("hub/blobs/2c3d", "# Card");
    for revision in ["r1", "r2"] {
        let folder = sandbox.path("hub/snapshots").join(revision);
        fs::create_dir_all(folder.join("data")).expect("a folder");
        symlink("../../../blobs/0a1b", folder.join("data/x.jsonl")).expect("a link");
        symlink("../../blobs/2c3d", folder.join("README.md")).expect("a link");
    }
    for name in ["hub/snapshots/r1", "hub/snapshots", "hub"] {
        assert_eq!(sandbox.documents(name), 3, "{name}");
    }
}

#[test]
fn entries_without_text_are_left_out_and_counted() {
    let sandbox = Sandbox::new();
    let rows = ["\"a\"", "null", "NaN", "\"\"", "\"x\\ud83d\"", "\"b\""];
    let lines =
        rows.map(|row| format!("{{\"text\": {row}, \"n\": NaN}}\n")).concat() + "{\"n\": 1}\n";
    sandbox.write("a.jsonl", &lines);
    sandbox.write("a.json", format!("[{}]", lines.trim_end().replace('\n', ",")));
    for name in ["a.jsonl", "a.json"] {
        let found = sandbox.survey(name).expect("read");
        let skipped = found.counts.skipped;
        assert_eq!(
            (skipped.null, skipped.empty, skipped.halves, skipped.missing),
            (2, 1, 1, 1),
            "{name}"
        );
        assert_eq!(found.counts.documents, [2, 0]);
        assert!(
            found.warnings().iter().any(|warning| warning.contains("5 entries were left out")),
            "{:?}",
            found.warnings()
        );
    }
}

#[test]
fn many_small_files_are_read() {
    let sandbox = Sandbox::new();
    fs::create_dir(sandbox.path("many")).expect("a folder");
    let (mut train, mut validation) = (vec![], vec![]);
    // More than a process may have open at a time.
    for i in 0..3000 {
        let text = format!("file {i:04} has a line\n");
        let cut = text.len() - (text.len() as f64 * 0.1).round() as usize;
        train.extend_from_slice(&text.as_bytes()[..cut]);
        validation.extend_from_slice(&text.as_bytes()[cut..]);
        fs::write(sandbox.path("many").join(format!("{i:04}.txt")), text).expect("written");
    }
    let spec = DataSpec { validation: Some(0.1), ..sandbox.bytes(&["many"]) };
    let corpus = Corpus::open(&spec, &sandbox.path("cache")).expect("read");
    assert_eq!(corpus.sizes(), (train.len(), validation.len()));
    // The digest of raw text is one of its bytes, whatever files they are in.
    let mut hasher = blake3::Hasher::new();
    hasher.update(&train).update(&(train.len() as u64).to_le_bytes()).update(&validation);
    assert_eq!(corpus.digest(), hasher.finalize().to_hex().as_str());
    assert_eq!(survey(&spec, Survey::default(), &()).expect("read").digest, corpus.digest());
}

#[test]
fn validation_text_can_be_files_of_its_own() {
    let sandbox = Sandbox::new();
    sandbox.write("data/train.jsonl", LINES.to_owned() + "{\"text\": \"in both\"}\n");
    sandbox.write("data/validation.jsonl", "{\"text\": \"in both\"}\n{\"text\": \"held out\"}\n");
    let named = |spec: DataSpec| DataSpec {
        validation_paths: Some(vec![sandbox.path("data/validation.jsonl").display().to_string()]),
        ..spec
    };
    for spec in [named(sandbox.spec(&["data"])), named(sandbox.bytes(&["data"]))] {
        let found = survey(&spec, Survey::default(), &()).expect("read");
        // What validates is not trained on, though it lies in the same folder.
        assert_eq!((found.counts.documents, found.counts.in_both), ([4, 2], 1));
        assert!(
            found.warnings().iter().any(|warning| warning.contains("1 training documents are"))
        );
        assert!(found.left_out.iter().any(|left_out| left_out.path.ends_with("validation.jsonl")));
        let corpus = Corpus::open(&spec, &sandbox.path("cache")).expect("read");
        assert_eq!(corpus.digest(), found.digest);
        // By content: another name is the same text, other words are others.
        sandbox
            .write("data/validation.jsonl", "{\"text\": \"in both\"}\n{\"text\": \"held in\"}\n");
        assert_ne!(survey(&spec, Survey::default(), &()).expect("read").digest, found.digest);
        sandbox
            .write("data/validation.jsonl", "{\"text\": \"in both\"}\n{\"text\": \"held out\"}\n");
        assert_eq!(survey(&spec, Survey::default(), &()).expect("read").digest, found.digest);
    }
    sandbox.write("raw/train.txt", "models grow");
    sandbox.write("raw/validation.txt", "models grow");
    let raw = DataSpec {
        validation_paths: Some(vec![sandbox.path("raw/validation.txt").display().to_string()]),
        ..sandbox.bytes(&["raw/train.txt"])
    };
    let found = survey(&raw, Survey::default(), &()).expect("read");
    assert_eq!((found.counts.tokens, found.counts.in_both), ([11, 11], 1));
    assert_eq!(Corpus::open(&raw, &sandbox.path("cache")).expect("read").sizes(), (11, 11));
}

#[test]
fn prepared_text_is_verified() {
    let sandbox = Sandbox::new();
    let text = "models grow while others wait\n".repeat(200);
    sandbox.write("a.txt", &text);
    sandbox.write(
        "a.jsonl",
        text.lines()
            .map(|line| serde_json::json!({ "text": line }).to_string() + "\n")
            .collect::<String>(),
    );
    let specs = [
        sandbox.bytes(&["a.txt"]),
        sandbox.bytes(&["a.jsonl"]),
        sandbox.spec(&["a.txt"]),
        sandbox.spec(&["a.jsonl"]),
    ];
    for (n, spec) in specs.into_iter().enumerate() {
        let cache = sandbox.path(&format!("cache-{n}"));
        // All lines are alike, so those of JSON need files of their own.
        let spec = DataSpec {
            validation_paths: spec
                .paths
                .clone()
                .map(|_| vec![sandbox.path("t.json").display().to_string()]),
            format: None,
            ..spec
        };
        let spec = DataSpec { validation: Some(0.1), validation_paths: None, ..spec };
        let spec = if n % 2 == 1 { with_own_validation(&sandbox, spec) } else { spec };
        let corpus = Corpus::open(&spec, &cache).expect("written");
        let order = outgrow_data::Order::new(1);
        let before = format!("{:?}", corpus.sequence(&order, 3, 8));
        for entry in
            fs::read_dir(&cache).expect("a folder").map(|entry| entry.expect("an entry").path())
        {
            let whole = fs::read(&entry).expect("read");
            if whole.is_empty() || entry.extension().is_some_and(|ending| ending == "json") {
                continue;
            }
            let mut flipped = whole.clone();
            flipped[whole.len() / 2] ^= 1;
            for damaged in
                [flipped, whole[..whole.len() - 1].to_vec(), vec![], vec![0xff; whole.len()]]
            {
                fs::write(&entry, damaged).expect("written");
                let error =
                    Corpus::prepared(corpus.digest(), &cache, 1).expect_err("damaged").to_string();
                assert!(error.contains("run the sweep file again"), "{error}");
                let again = Corpus::open(&spec, &cache).expect("made anew");
                assert_eq!(fs::read(&entry).expect("read"), whole);
                assert_eq!(format!("{:?}", again.sequence(&order, 3, 8)), before);
            }
        }
        // Nothing is left aside.
        let left: Vec<_> = fs::read_dir(&cache)
            .expect("a folder")
            .map(|entry| entry.expect("an entry").file_name())
            .collect();
        assert!(left.iter().all(|name| !name.to_string_lossy().contains("tmp")), "{left:?}");
    }
}

#[test]
fn a_refusal_leaves_prepared_text_of_others_as_it_is() {
    let sandbox = Sandbox::new();
    let line = |n: usize| format!("{{\"text\": \"models grow {n} while others wait\"}}\n");
    sandbox.write("a.jsonl", (0..200).map(line).collect::<String>());
    sandbox.write("a.txt", (0..200).map(line).collect::<String>().replace('"', ""));
    let listed = |cache: &Path| {
        let entries = fs::read_dir(cache).into_iter().flatten();
        let files = entries.map(|entry| entry.expect("an entry").path());
        let mut files: Vec<_> =
            files.map(|path| (path.clone(), fs::read(path).expect("read"))).collect();
        files.sort();
        files
    };
    for (n, spec) in
        [sandbox.spec(&["a.jsonl"]), sandbox.bytes(&["a.jsonl"]), sandbox.bytes(&["a.txt"])]
            .into_iter()
            .enumerate()
    {
        let cache = sandbox.path(&format!("cache-{n}"));
        let with = |share: f64, seq_len: usize| DataSpec {
            validation: Some(share),
            seq_len,
            ..spec.clone()
        };
        // Alone, a refusal leaves nothing at all.
        Corpus::open(&with(0.1, 1 << 20), &cache).expect_err("too short");
        assert!(!cache.exists(), "{n}");
        let digest = Corpus::open(&with(0.1, 16), &cache).expect("prepared").digest().to_owned();
        let before = listed(&cache);
        assert!(before.len() >= 2);
        // The same text for longer sequences, and one that is never valid.
        for refused in [with(0.1, 1 << 20), with(0.0, 16)] {
            Corpus::open(&refused, &cache).expect_err("too short");
            assert_eq!(listed(&cache), before, "{n}");
            Corpus::prepared(&digest, &cache, 16).expect("it is there");
        }
        // Nor does one take what was damaged: whoever needs it makes it anew.
        let (damaged, bytes) = &before[before.len() - 1];
        fs::write(damaged, vec![0xff; bytes.len()]).expect("written");
        Corpus::open(&with(0.1, 1 << 20), &cache).expect_err("too short");
        assert_eq!(listed(&cache).len(), before.len());
        Corpus::open(&with(0.1, 16), &cache).expect("made anew");
        assert_eq!(listed(&cache), before);
    }
}

fn with_own_validation(sandbox: &Sandbox, spec: DataSpec) -> DataSpec {
    sandbox.write("own.jsonl", "{\"text\": \"others wait while models grow\"}\n".repeat(20));
    DataSpec {
        validation: None,
        validation_paths: Some(vec![sandbox.path("own.jsonl").display().to_string()]),
        ..spec
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]

    /// What a survey says is what is written, whatever the documents are and whatever holds them.
    #[test]
    fn a_survey_says_what_is_written(
        texts in proptest::collection::vec(any::<String>(), 1..20),
        form in 0..4usize,
        with_tokenizer in any::<bool>(),
        share in 0.1..0.9f64,
    ) {
        let sandbox = Sandbox::new();
        let lines: String = texts.iter().map(|text| serde_json::json!({ "text": text }).to_string() + "\n").collect();
        let (name, bytes) = match form {
            0 => ("a.jsonl", lines.into_bytes()),
            1 => ("a.json.gz", gzip(lines.as_bytes())),
            2 => ("a.txt", texts.join("\n").replace(['\0', '\u{feff}'], "x").into_bytes()),
            _ => ("a.parquet", parquet(&column(Arc::new(StringArray::from(texts.clone()))), Compression::SNAPPY)),
        };
        sandbox.write(name, bytes);
        let spec = if with_tokenizer { sandbox.spec(&[name]) } else { sandbox.bytes(&[name]) };
        let spec = DataSpec { validation: Some(share), ..spec };
        let cache = sandbox.path("cache");
        let surveyed = survey(&spec, Survey::default(), &());
        let opened = Corpus::open_told(&spec, &cache, &[], &());
        match (surveyed, opened) {
            (Ok(surveyed), Ok((corpus, summary))) => {
                prop_assert_eq!(&surveyed.digest, &summary.digest);
                prop_assert_eq!(&surveyed.counts, &summary.counts);
                prop_assert_eq!(corpus.sizes(), (surveyed.counts.tokens[0] as usize, surveyed.counts.tokens[1] as usize));
                let again = survey(&spec, Survey { cache: Some(&cache), ..Survey::default() }, &()).unwrap();
                prop_assert_eq!(again.counts, surveyed.counts);
            }
            (Ok(surveyed), Err(error)) => {
                let refused = surveyed.check(1).expect_err("too short").to_string();
                prop_assert_eq!(refused, error.to_string());
                prop_assert!(!cache.exists(), "what is refused leaves nothing");
            }
            (Err(surveyed), Err(error)) => prop_assert_eq!(surveyed.to_string(), error.to_string()),
            (Err(surveyed), Ok(_)) => prop_assert!(false, "{}", surveyed),
        }
    }
}

#[test]
fn a_path_is_a_path() {
    let sandbox = Sandbox::new();
    let error = sandbox.survey("nowhere").expect_err("missing").to_string();
    assert!(error.contains("nowhere") && !error.contains("data.paths"), "{error}");
    let spec =
        DataSpec { tokenizer: Some("/no/tokenizer.json".into()), ..sandbox.spec(&["t.json"]) };
    let error = survey(&spec, Survey::default(), &()).expect_err("missing").to_string();
    assert!(error.starts_with("/no/tokenizer.json: cannot read the tokenizer"), "{error}");
    let spec = DataSpec { paths: Some(vec![String::new()]), ..DataSpec::of_paths(1) };
    let error = survey(&spec, Survey::default(), &()).expect_err("nameless").to_string();
    assert!(error.contains("a path is empty"), "{error}");
    assert!(Path::new("/no/tokenizer.json").parent().is_some_and(|folder| !folder.exists()));
}

#[test]
fn a_plain_text_is_held_to_the_same_rules() {
    let sandbox = Sandbox::new();
    let whole = parquet(&column(Arc::new(StringArray::from(vec!["a"]))), Compression::SNAPPY);
    let packed = gzip(b"models grow");
    let cases: [(&str, &[u8], &str); 11] = [
        ("a.jsonl", LINES.as_bytes(), "JSON lines, and plain text is read here"),
        ("a.json", LINES.as_bytes(), "jq -r .text"),
        ("b.json", b"{\n \"text\": \"a\"\n}", "JSON objects"),
        ("c.json", b"[{\"text\": \"a\"}]", "JSON array"),
        ("a.txt", LINES.as_bytes(), "JSON lines"),
        ("a.parquet", &whole, "Parquet"),
        ("a.txt.gz", &packed, "unpack it"),
        ("utf16.txt", b"\xff\xfea\0", "UTF-16"),
        ("latin1.txt", b"caf\xe9", "byte 3"),
        ("empty.txt", b"", "is empty"),
        ("mark.txt", b"\xef\xbb\xbf", "is empty"),
    ];
    for (name, bytes, words) in cases {
        let path = sandbox.write(name, bytes);
        for is_tokenized in [true, false] {
            let error = plain_text(&path, is_tokenized).expect_err(name).to_string();
            assert!(error.contains(name) && error.contains(words), "{error}");
        }
    }
    // A tokenizer has no NUL; bytes have.
    let nul = sandbox.write("nul.txt", "a\nb\0c");
    let error = plain_text(&nul, true).expect_err("NUL").to_string();
    assert!(error.contains("nul.txt, line 2: byte 3 is NUL"), "{error}");
    assert_eq!(plain_text(&nul, false).expect("bytes"), "a\nb\0c");
    for (name, bytes, text) in [
        ("b.txt", &b"\xef\xbb\xbfmodels\r\n"[..], "models\r\n"),
        ("c.csv", b"a,b\n", "a,b\n"),
        ("d", b"{curly} words", "{curly} words"),
    ] {
        let path = sandbox.write(name, bytes);
        for is_tokenized in [true, false] {
            assert_eq!(plain_text(&path, is_tokenized).expect(name), text);
        }
    }
    for (path, words) in [("/dev/zero", "a device"), ("/", "a folder"), ("/none", "cannot read")] {
        let error = plain_text(Path::new(path), true).expect_err(path).to_string();
        assert!(error.contains(path) && error.contains(words), "{error}");
    }
}
