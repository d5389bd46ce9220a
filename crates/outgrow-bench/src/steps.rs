//! How fast a preset steps, beside PyTorch and with several workers.

use std::path::Path;

use outgrow::{
    Error,
    bench::{PresetSizes, flops_per_token, median, spread},
    readable::{count, scaled, table},
};
use outgrow_core::model::n_parameters;
use outgrow_train::Device;
use serde_json::{Value, json};

use crate::{
    Common, Model,
    contender::{Contender, Place, Variant},
    positive,
};

/// A turn of a contender is to last about so long.
const TURN_SECONDS: f64 = 0.7;
/// Steps before anything is measured: libtorch sets itself up, PyTorch compiles.
const WARM_UP: usize = 3;

/// How fast a preset steps, beside PyTorch, with several workers, as stacked replicates
///
/// Everyone steps in a process of its own, in turns.
#[derive(clap::Args)]
pub struct StepsArgs {
    #[command(flatten)]
    model: Model,
    /// Beside ours, let PyTorch train the preset in every way that may be its fastest (needs a
    /// `python3` that imports torch; `scripts/bench` sees to that)
    #[arg(long)]
    pytorch: bool,
    /// Also measure so many workers at once, as 1,2,4,8
    #[arg(long, value_name = "N", value_delimiter = ',', value_parser = positive())]
    workers: Vec<u16>,
    /// Also measure so many replicates as one model, beside one after another, as 8,32
    #[arg(long, value_name = "N", value_delimiter = ',', value_parser = positive())]
    stacked_replicates: Vec<u16>,
    #[command(flatten)]
    common: Common,
}

/// What one contender did.
struct Line {
    name: String,
    /// Tokens per second, turn by turn.
    speeds: Vec<f64>,
    /// The same, as shares of PyTorch's best (or of ours, alone) in the same turn.
    ratios: Vec<f64>,
}

struct Job<'a> {
    args: &'a StepsArgs,
    sizes: PresetSizes,
    place: Place,
}

/// Lets everyone step in turns, and gives the medians.
pub fn bench(args: &StepsArgs) -> Result<String, Error> {
    let device = args.common.device()?;
    let place = Place { precision: args.model.precision, device, threads: args.common.threads };
    let job = Job { args, sizes: args.model.preset.sizes(), place };
    let folder = crate::folder()?;
    let measured = job.measure(folder.path())?;
    Ok(if args.common.json { measured.as_json(&job) } else { measured.as_text(&job) })
}

/// All that was measured.
struct Measured {
    lines: Vec<Line>,
    /// Contenders that can't step here.
    failed: Vec<String>,
    /// Steps of a turn.
    turn: usize,
    /// FLOP/s of a large matrix product.
    peak: f64,
    /// Seconds of the bare products of a step.
    products: f64,
    /// Seconds of each part of our steps.
    phases: Value,
    /// How many, and tokens per second of all.
    workers: Vec<(u16, f64)>,
    /// How many, tokens per second, and the ratio to one after another.
    stacked: Vec<(u16, f64, f64)>,
}

impl Measured {
    fn as_json(&self, job: &Job) -> String {
        let line = |line: &Line| {
            json!({
                "name": line.name, "tokens_per_second": median(line.speeds.iter().copied()),
                "ratio": median(line.ratios.iter().copied()), "speeds": line.speeds,
            })
        };
        let workers = self.workers.iter();
        let workers = workers.map(|(n, speed)| json!({ "workers": n, "tokens_per_second": speed }));
        let stacked = self.stacked.iter().map(|(n, speed, ratio)| {
            json!({ "replicates": n, "tokens_per_second": speed, "to_one_after_another": ratio })
        });
        crate::json(&json!({
            "preset": job.args.model.preset.name(), "peak_flops_per_second": self.peak,
            "flops_per_token": flops_per_token(&job.sizes.architecture()),
            "products_seconds_per_step": self.products, "phases_seconds": self.phases,
            "contenders": self.lines.iter().map(line).collect::<Vec<_>>(), "failed": self.failed,
            "workers": workers.collect::<Vec<_>>(),
            "stacked_replicates": stacked.collect::<Vec<_>>(),
        }))
    }

    fn as_text(&self, job: &Job) -> String {
        let mut text = format!("{}\n\n{}\n\n", self.title(job), self.table(job));
        text += &format!(
            "our step   {}\n\
             peak       {}FLOP/s, of a large matrix product in the same precision\n\
             products   {:.2} ms a step: all matrix products and softmaxes of it by themselves",
            self.shares(),
            scaled(self.peak),
            1e3 * self.products,
        );
        for (n, speed) in &self.workers {
            let (speed, times) = (count(*speed), speed / self.workers[0].1);
            text += &format!("\n{n} worker(s)  {speed} tokens/s, {times:.2} times one");
        }
        for (n, speed, ratio) in &self.stacked {
            let speed = count(*speed);
            text += &format!("\n{n} stacked  {speed} tokens/s, {ratio:.2} times one after another");
        }
        self.failed.iter().for_each(|name| text += &format!("\nfailed: {name}"));
        text
    }

    fn title(&self, job: &Job) -> String {
        format!(
            "{}, {} parameters, {} tokens a step, {:?}, {} thread(s) of {}; n = {} turns of {} \
             steps, medians [extremes]",
            job.args.model.preset,
            count(n_parameters(&job.sizes.architecture()) as f64),
            job.sizes.step_tokens(),
            job.place.precision,
            job.place.threads,
            job.place.device.describe(),
            job.args.common.runs,
            self.turn,
        )
    }

    fn table(&self, job: &Job) -> String {
        let flops = flops_per_token(&job.sizes.architecture());
        let row = |line: &Line| {
            let speed = median(line.speeds.iter().copied());
            let [ratio, low, high] = spread(&line.ratios);
            let others = 1.0 - self.products * speed / job.sizes.step_tokens() as f64;
            vec![
                line.name.clone(),
                count(speed),
                format!("{ratio:.2} [{low:.2}, {high:.2}]"),
                format!("{:.0} %", 100.0 * speed * flops / self.peak),
                format!("{:.0} %", 100.0 * others),
            ]
        };
        let against = if self.lines.len() > 1 { "to the best PyTorch" } else { "to itself" };
        let rows: Vec<_> = self.lines.iter().map(row).collect();
        table(&["", "tokens/s", against, "MFU", "not products"], &rows, &[1, 2, 3, 4], false)
    }

    /// Which share of our steps each of their parts is.
    fn shares(&self) -> String {
        let seconds = |name: &str| self.phases[name].as_f64().unwrap_or(f64::NAN);
        let names = ["data", "forward", "backward", "optimizer"];
        let total: f64 = names.map(seconds).iter().sum();
        names.map(|name| format!("{name} {:.1} %", 100.0 * seconds(name) / total)).join(", ")
    }
}

impl Job<'_> {
    fn measure(&self, folder: &Path) -> Result<Measured, Error> {
        let mut all = vec![self.ours(1)?];
        if self.args.pytorch {
            for variant in self.variants() {
                all.push(Contender::pytorch(folder, &self.sizes, self.place, &variant)?);
            }
        }
        let failed = warm_up(&mut all)?;
        let seconds = all[0].steps(WARM_UP)? / WARM_UP as f64;
        let turn = ((TURN_SECONDS / seconds) as usize).max(1);
        let lines = self.turns(&mut all, turn)?;
        let ours = &mut all[0];
        let peak = ours.number("peak", "flops_per_second")?;
        let order = format!("products {turn}");
        let products = (0..3).map(|_| ours.number(&order, "seconds").unwrap_or(f64::NAN));
        let products = median(products) / turn as f64;
        ours.tell(&format!("phases {turn}"))?;
        let phases = ours.answer()?;
        drop(all);
        let (workers, stacked) = (self.workers(turn)?, self.stacked(turn)?);
        Ok(Measured { lines, failed, turn, peak, products, phases, workers, stacked })
    }

    fn ours(&self, replicates: u16) -> Result<Contender, Error> {
        Contender::ours(self.args.model.preset, self.place, replicates)
    }

    fn turn_tokens(&self, steps: usize) -> f64 {
        (steps as u64 * self.sizes.step_tokens()) as f64
    }

    /// The ways of PyTorch that may be the fastest here.
    fn variants(&self) -> Vec<Variant> {
        let attentions: &[&'static str] =
            if self.place.device == Device::Cpu { &["sdpa", "bmm"] } else { &["sdpa"] };
        let of = |attention, compile| Variant { attention, optimizer: "fused", compile };
        let mut all: Vec<Variant> =
            attentions.iter().map(|attention| of(attention, false)).collect();
        all.push(Variant { optimizer: "foreach", ..of("sdpa", false) });
        all.extend(attentions.iter().map(|attention| of(attention, true)));
        all
    }

    /// Everyone's speed, turn by turn.
    fn turns(&self, all: &mut [Contender], steps: usize) -> Result<Vec<Line>, Error> {
        let mut lines: Vec<Line> = all
            .iter()
            .map(|c| Line { name: c.name.clone(), speeds: vec![], ratios: vec![] })
            .collect();
        for _ in 0..self.args.common.runs {
            for (contender, line) in all.iter_mut().zip(&mut lines) {
                line.speeds.push(self.turn_tokens(steps) / contender.steps(steps)?);
            }
        }
        let theirs = lines.iter().skip(usize::from(lines.len() > 1));
        let best = theirs.max_by(|a, b| {
            median(a.speeds.iter().copied()).total_cmp(&median(b.speeds.iter().copied()))
        });
        let best = best.expect("there is someone").speeds.clone();
        for line in &mut lines {
            line.ratios = line.speeds.iter().zip(&best).map(|(speed, best)| speed / best).collect();
        }
        Ok(lines)
    }

    /// Throughput of several replicates as one model, in turns with one alone, and its ratio to
    /// that.
    fn stacked(&self, steps: usize) -> Result<Vec<(u16, f64, f64)>, Error> {
        let mut measured = vec![];
        for &n in &self.args.stacked_replicates {
            let mut pair = vec![self.ours(1)?, self.ours(n)?];
            warm_up(&mut pair)?;
            let (mut speeds, mut ratios) = (vec![], vec![]);
            for _ in 0..self.args.common.runs {
                let alone = pair[0].steps(steps)?;
                let together = pair[1].steps(steps)? / f64::from(n);
                speeds.push(self.turn_tokens(steps) / together);
                ratios.push(alone / together);
            }
            measured.push((n, median(speeds), median(ratios)));
        }
        Ok(measured)
    }

    /// Throughput of several workers at once.
    fn workers(&self, steps: usize) -> Result<Vec<(u16, f64)>, Error> {
        let mut measured = vec![];
        for &n in &self.args.workers {
            let mut pool = (0..n).map(|_| self.ours(1)).collect::<Result<Vec<_>, _>>()?;
            warm_up(&mut pool)?;
            let mut speeds = vec![];
            for _ in 0..self.args.common.runs {
                pool.iter_mut().try_for_each(|worker| worker.tell(&steps.to_string()))?;
                let seconds = pool
                    .iter_mut()
                    .map(|worker| Ok(worker.answer()?["seconds"].as_f64().unwrap_or(f64::NAN)));
                let seconds = seconds.collect::<Result<Vec<f64>, Error>>()?;
                speeds.push(seconds.iter().map(|s| self.turn_tokens(steps) / s).sum::<f64>());
            }
            measured.push((n, median(speeds)));
        }
        Ok(measured)
    }
}

/// Lets everyone step for the first time; removes and names those that can't.
fn warm_up(all: &mut Vec<Contender>) -> Result<Vec<String>, Error> {
    let mut failed = vec![];
    for mut contender in std::mem::take(all) {
        match contender.steps(WARM_UP) {
            Ok(_) => all.push(contender),
            Err(error) if contender.name == "outgrow" => return Err(error),
            Err(_) => failed.push(contender.name.clone()),
        }
    }
    Ok(failed)
}
