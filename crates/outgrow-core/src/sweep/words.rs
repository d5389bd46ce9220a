//! What a sweep file says to people: it changes no number, and no identity.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

/// Two strategies or controls whose difference is a question of the sweep.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ContrastSpec {
    /// The difference is that of this one ...
    pub a: String,
    /// ... minus this one.
    pub b: String,
}

/// Notes, tags, names for print, contrasts.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Words {
    /// A text for people.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub notes: Option<String>,
    /// To find the sweep by.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub tags: Vec<String>,
    /// What strategies and controls are called in figures and tables, where not by their names.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub display: BTreeMap<String, String>,
    /// Differences that the report states beside those to the controls.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub contrasts: Vec<ContrastSpec>,
}
