//! The figures, one file each, and what they are drawn with.

mod all;
mod around_growth;
mod axis;
mod axis_when;
mod born;
mod canvas;
mod chart;
mod clip;
mod common;
mod compute_saving;
mod contrasts;
mod figure;
mod final_loss;
mod font;
mod iso_flop_gap;
mod learning_rate;
mod loss;
mod measures;
mod named;
mod regret;
mod render;
mod saving_by_target;
mod scaling;
mod sheet;
mod style;
mod sweeps;
mod timeline;

pub use self::{
    all::all,
    common::{CurveLook, curve_looks},
    figure::Figure,
    font::label,
    regret::{Regret, regret},
    render::files,
    scaling::{Scaling, ScalingPoint, scaling},
    sweeps::of_sweeps,
};
