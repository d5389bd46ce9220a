//! A sweep file as it is written: what it leaves out comes from what it extends, and from the
//! defaults; what is set by hand comes on top.

mod defaults;
mod missing;
mod place;
mod tokens;

use std::path::Path;

use serde_path_to_error::Segment;
use toml::{Table, Value};

use self::place::Step;
use super::{
    error::{SweepError, bad},
    grid::Grid,
    merge::{merge_tables, name_of},
    renamed,
    spec::SweepSpec,
};

/// The presets, by name. Each is a sweep file that may leave out what it likes.
pub const PRESETS: [(&str, &str); 3] = [
    ("quickstart", include_str!("../../../../experiments/quickstart/sweep.toml")),
    ("llama-tiny", include_str!("presets/llama-tiny.toml")),
    ("gpt2-tiny", include_str!("presets/gpt2-tiny.toml")),
];

/// A text with fields of a sweep, and where it is from.
#[derive(Clone, Debug)]
struct Layer {
    /// Empty for the file itself.
    origin: String,
    text: String,
    table: Table,
}

/// A sweep file, on top of what it extends and below what is set by hand.
#[derive(Clone, Debug)]
pub struct Draft {
    /// The lowest first.
    layers: Vec<Layer>,
}

impl Draft {
    /// Reads a file, without what it extends. `origin` says in messages about its fields where they
    /// stand; empty for the file that a message is about anyway.
    ///
    /// # Errors
    /// If it is no TOML.
    pub fn parse(origin: &str, text: &str) -> Result<Self, SweepError> {
        let table = text.parse()?;
        Ok(Self { layers: vec![Layer { origin: origin.into(), text: text.into(), table }] })
    }

    /// The names of the presets and the paths of the files that it extends; later ones lie above
    /// earlier ones.
    ///
    /// # Errors
    /// If `extends` is neither a text nor a list of them.
    pub fn extends(&self) -> Result<Vec<String>, SweepError> {
        let own = self.layers.last().and_then(|layer| layer.table.get("extends"));
        let text = |value: &Value| value.as_str().map(str::to_owned);
        let names = match own {
            None => Some(vec![]),
            Some(Value::Array(list)) => list.iter().map(text).collect(),
            Some(one) => text(one).map(|name| vec![name]),
        };
        names.ok_or_else(|| SweepError::Value {
            field: "extends".into(),
            value: own.map(Value::to_string).unwrap_or_default(),
            allowed: "name a preset or a sweep file, or a list of them".into(),
        })
    }

    /// A preset.
    ///
    /// # Errors
    /// If there is none of that name.
    pub fn preset(name: &str) -> Result<Self, SweepError> {
        match PRESETS.iter().find(|(known, _)| *known == name) {
            Some((_, text)) => Self::parse(&format!("preset {name}"), text),
            None => Err(SweepError::Value {
                field: "extends".into(),
                value: format!("{name:?}"),
                allowed: format!(
                    "name a sweep file (its name ends in .toml) or a preset: {}",
                    PRESETS.map(|(known, _)| known).join(", ")
                ),
            }),
        }
    }

    /// Lays it over others, the lowest first. What they are called is not inherited.
    pub fn over(self, bases: Vec<Self>) -> Self {
        let nameless = |mut layer: Layer| {
            layer.table.remove("name");
            layer
        };
        let below = bases.into_iter().flat_map(|base| base.layers).map(nameless);
        Self { layers: below.chain(self.layers).collect() }
    }

    /// Makes the paths that it names count from a folder above the one that they count from.
    pub fn move_paths(&mut self, folder: &Path) {
        let moved = |value: &mut Value| {
            if let Value::String(path) = value {
                *path = folder.join(&*path).to_string_lossy().into_owned();
            }
        };
        for layer in &mut self.layers {
            for (table, field) in [
                ("data", "paths"),
                ("data", "validation_paths"),
                ("data", "tokenizer"),
                ("initial", "checkpoint"),
            ] {
                match layer.table.get_mut(table).and_then(|table| table.get_mut(field)) {
                    Some(Value::Array(list)) => list.iter_mut().for_each(moved),
                    Some(value) => moved(value),
                    None => {}
                }
            }
        }
    }

    /// Sets a field by hand: `training.tokens=1e6`; a strategy's by its name,
    /// `strategies.all_at_once.at=0.3`. A value that is no TOML is a text.
    ///
    /// # Errors
    /// If it is no such assignment.
    pub fn set(&mut self, assignment: &str) -> Result<(), SweepError> {
        let refused = || SweepError::Value {
            field: "--set".into(),
            value: format!("{assignment:?}"),
            allowed: "write FIELD=VALUE, such as training.tokens=1e6 or \
                      strategies.all_at_once.at=0.3"
                .into(),
        };
        let (field, value) = assignment.split_once('=').ok_or_else(refused)?;
        if field.trim() == "extends" {
            let allowed = "only a file can extend others: write it there";
            return bad("--set", format!("{assignment:?}"), allowed);
        }
        let table = |value: &str| format!("{} = {value}", field.trim()).parse::<Table>();
        let text = toml::Value::from(value.trim()).to_string();
        let table = table(value.trim()).or_else(|_| table(&text)).map_err(|_| refused())?;
        let origin = format!("--set {assignment}");
        self.layers.push(Layer { origin, text: String::new(), table });
        Ok(())
    }

    /// The tokenizer that must be read before [`Draft::spec`]: where `training.tokens` follow from
    /// the budgets of a frontier, and these from the size of the target.
    pub fn tokenizer_first(&self) -> Option<String> {
        let said = self.merged(None).ok()?;
        let lacks = |way: &[&str]| defaults::at(&said, way).is_none();
        let needed = !lacks(&["frontier"])
            && lacks(&["training", "tokens"])
            && lacks(&["data", "vocab_size"]);
        let tokenizer = defaults::at(&said, &["data", "tokenizer"])?;
        tokenizer.as_str().filter(|_| needed).map(str::to_owned)
    }

    /// How many tokens the tokenizer knows, for a file that does not say it.
    pub fn set_vocab_size(&mut self, known: usize) {
        let data = Table::from_iter([("vocab_size".to_owned(), Value::Integer(known as i64))]);
        let table = Table::from_iter([("data".to_owned(), data.into())]);
        self.layers.insert(0, Layer { origin: String::new(), text: String::new(), table });
    }

    /// All layers in one.
    fn merged(&self, name: Option<&str>) -> Result<Table, SweepError> {
        let mut said = Table::new();
        if let Some(name) = name {
            said.insert("name".into(), name.into());
        }
        for Layer { table, origin, .. } in &self.layers {
            merge_tables(&mut said, table.clone()).map_err(|why| misplaced(origin, why))?;
        }
        Ok(said)
    }

    /// What it means, with every default filled in; a sweep without a name is called `name`.
    ///
    /// # Errors
    /// If fields are missing, unknown or of a wrong type.
    pub fn spec(&self, name: Option<&str>) -> Result<SweepSpec, SweepError> {
        let mut said = self.merged(name)?;
        said.remove("extends");
        self.refuse_hidden()?;
        if let Some(renamed) = renamed::find(&said) {
            return Err(renamed);
        }
        said.iter_mut().for_each(|(_, value)| make_whole(value));
        tokens::fill(&mut said);
        let all = defaults::fill(said).map_err(|why| misplaced("", why))?;
        let parsed = serde_path_to_error::deserialize(Value::Table(all.clone()));
        match (parsed, missing::refuse(&all)) {
            // A field that is missing may be there under a wrong name.
            (Err(error), Err(missing)) if error.inner().message().starts_with("missing field") => {
                drop(error);
                Err(missing)
            }
            (Err(error), _) => Err(self.located(&error, &all)),
            (Ok(_), Err(missing)) => Err(missing),
            (Ok(spec), Ok(())) => Ok(spec),
        }
    }

    /// Refuses a field that is set above a grid which has it: it would change nothing.
    fn refuse_hidden(&self) -> Result<(), SweepError> {
        let mut ways: Vec<Vec<String>> = vec![];
        for Layer { table, origin, .. } in &self.layers {
            let own = table.get("grid").and_then(Value::as_table);
            if own.is_some_and(Table::is_empty) {
                ways.clear();
            }
            for way in &ways {
                let fields: Vec<&str> = way.iter().map(String::as_str).collect();
                if let Some(value) = defaults::at(table, &fields) {
                    let field = way.join(".");
                    let message = format!(
                        "it is {value}, but the grid below has this field: set grid.{field}, or \
                         grid={{}} for none"
                    );
                    return Err(SweepError::Field {
                        field,
                        message,
                        at: (origin.clone(), "".into()),
                    });
                }
            }
            if let Some(own) = own {
                let grid: Grid = own.clone().try_into().unwrap_or_default();
                ways.extend(grid.axes().unwrap_or_default().into_iter().map(|axis| axis.way));
            }
        }
        Ok(())
    }

    /// What was found wrong with a field, with the place where the field stands.
    pub fn locate(&self, error: SweepError) -> SweepError {
        let SweepError::Value { field, value, allowed } = error else { return error };
        let way: Vec<Step> = field.split('.').map(|name| Step::Field(name.into())).collect();
        let all = Table::new();
        match self.layers.iter().rev().find(|layer| layer.has(&way, &all)) {
            Some(layer) => {
                let at = layer.place(&way);
                SweepError::Field { field, message: format!("it is {value}; {allowed}"), at }
            }
            None => SweepError::Value { field, value, allowed },
        }
    }

    /// An error, with the place where the field stands.
    fn located(
        &self,
        error: &serde_path_to_error::Error<toml::de::Error>,
        all: &Table,
    ) -> SweepError {
        let message = in_words_of_toml(error.inner().message());
        let mut way: Vec<Step> = error.path().iter().filter_map(step).collect();
        let unknown =
            message.strip_prefix("unknown field `").and_then(|rest| rest.split('`').next());
        let named = |way: &[Step], name: &str| way.last() == Some(&Step::Field(name.into()));
        if let Some(name) = unknown.filter(|name| !named(&way, name)) {
            way.push(Step::Field(name.into()));
        }
        let hint = match message.contains("invalid type: list, expected a") {
            true => "; several values to compare go under [grid]",
            false => "",
        };
        let from = self.layers.iter().rev().find(|layer| layer.has(&way, all));
        let at = from.map(|layer| layer.place(&way)).unwrap_or_default();
        SweepError::Field { field: shown(&way, all), message: format!("{message}{hint}"), at }
    }
}

impl SweepSpec {
    /// Reads a sweep file that extends presets alone, with every default filled in, without looking
    /// at what it says.
    ///
    /// # Errors
    /// If it is no TOML, or has unknown or missing fields.
    pub fn parse(text: &str) -> Result<Self, SweepError> {
        let own = Draft::parse("", text)?;
        let bases = own.extends()?;
        let bases: Vec<Draft> =
            bases.iter().map(|name| Draft::preset(name)).collect::<Result<_, _>>()?;
        own.over(bases).spec(None)
    }
}

/// Lays a table over a whole sweep.
///
/// # Errors
/// If it names a strategy that is not there.
pub(super) fn change(sweep: &mut Table, above: Table) -> Result<(), SweepError> {
    merge_tables(sweep, above).map_err(|why| misplaced("", why))
}

/// What a table means, with every default filled in.
///
/// # Errors
/// If fields are missing, unknown or of a wrong type.
pub(super) fn complete(table: Table) -> Result<SweepSpec, SweepError> {
    let layer = Layer { origin: String::new(), text: String::new(), table };
    Draft { layers: vec![layer] }.spec(None)
}

impl Layer {
    /// Whether the field is said here.
    fn has(&self, way: &[Step], all: &Table) -> bool {
        let (mut own, mut merged) = (Value::Table(self.table.clone()), Value::Table(all.clone()));
        for step in way {
            let key = match (step, &own, &merged) {
                // A table over a list.
                (Step::Element(number), Value::Table(_), Value::Array(list)) => {
                    list.get(*number).and_then(name_of).unwrap_or_default().to_owned()
                }
                (Step::Field(name), ..) => name.clone(),
                (Step::Element(number), ..) => number.to_string(),
            };
            let of = |value: &Value, step: &Step| match (value, step) {
                (Value::Array(list), Step::Element(number)) => list.get(*number).cloned(),
                (value, _) => value.get(key.as_str()).cloned(),
            };
            let Some(next) = of(&own, step) else { return false };
            merged = of(&merged, step).unwrap_or(Value::Boolean(false));
            own = next;
        }
        true
    }

    /// "in base.toml, line 3", and the line.
    fn place(&self, way: &[Step]) -> (String, String) {
        let Some(span) = place::find(&self.text, way) else {
            return (self.origin.clone(), String::new());
        };
        let (line, excerpt) = place::excerpt(&self.text, &span);
        let origin = match &*self.origin {
            "" => format!("line {line}"),
            origin => format!("{origin}, line {line}"),
        };
        (origin, excerpt)
    }
}

fn step(segment: &Segment) -> Option<Step> {
    match segment {
        Segment::Seq { index } => Some(Step::Element(*index)),
        Segment::Map { key } => Some(Step::Field(key.clone())),
        Segment::Enum { .. } | Segment::Unknown => None,
    }
}

/// The way to a field, with strategies by their names.
fn shown(way: &[Step], all: &Table) -> String {
    let strategies = all.get("strategies").and_then(Value::as_array);
    let name = |number: usize| name_of(strategies?.get(number)?).map(str::to_owned);
    let step = |step: &Step| match step {
        Step::Field(name) => name.clone(),
        Step::Element(number) if way[0] == Step::Field("strategies".into()) => {
            name(*number).unwrap_or_else(|| number.to_string())
        }
        Step::Element(number) => number.to_string(),
    };
    way.iter().map(step).collect::<Vec<_>>().join(".")
}

/// What a field may be, said without the names of Rust's types.
fn in_words_of_toml(message: &str) -> String {
    let Some((found, expected)) = message.split_once(", expected ") else {
        return message.to_owned();
    };
    let found = found
        .replace("invalid type: sequence", "invalid type: list")
        .replace("invalid type: map", "invalid type: table");
    let expected = match expected {
        "f64" | "f32" => "a number",
        "u64" | "u32" | "usize" => "a whole number, 0 or more",
        "a string" => "a text",
        "a boolean" => "true or false",
        "a sequence" => "a list",
        "a map" => "a table",
        other if other.starts_with("struct ") || other.starts_with("internally tagged enum ") => {
            "a table"
        }
        other => other,
    };
    format!("{found}, expected {expected}")
}

fn misplaced(origin: &str, why: String) -> SweepError {
    SweepError::Field {
        field: "strategies".into(),
        message: why,
        at: (origin.into(), String::new()),
    }
}

/// Whole numbers that are written as `1e6` become integers, which every field of numbers takes.
fn make_whole(value: &mut Value) {
    const EXACT: f64 = (1_u64 << 53) as f64;
    match value {
        Value::Float(number) if number.fract() == 0.0 && number.abs() <= EXACT => {
            *value = Value::Integer(*number as i64);
        }
        Value::Array(list) => list.iter_mut().for_each(make_whole),
        Value::Table(table) => table.iter_mut().for_each(|(_, value)| make_whole(value)),
        _ => {}
    }
}
