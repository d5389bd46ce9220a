//! How fast a preset steps, beside PyTorch and with several workers.

use super::Bench;
use outgrow::{Error, devices::check_device};
use outgrow_core::model::n_parameters;
use outgrow_core::{flops, sweep::Precision};
use outgrow_train::{Device, device};
use serde_json::json;

use super::{
    contender::{Contender, Variant},
    median,
    preset::Sizes,
    with_folder,
};
use crate::output::{count, print, print_json, scaled, table};

/// A turn of a contender is to last about so long.
const TURN_SECONDS: f64 = 0.7;
/// Steps before anything is measured: libtorch sets itself up, PyTorch compiles.
const WARM_UP: usize = 3;

/// What one contender did.
struct Line {
    name: String,
    /// Tokens per second, turn by turn.
    speeds: Vec<f64>,
    /// The same, as shares of PyTorch's best (or of ours, alone) in the same turn.
    ratios: Vec<f64>,
}

struct Job<'a> {
    args: &'a Bench,
    sizes: Sizes,
    precision: Precision,
    device: Device,
}

/// Lets everyone step in turns, and prints the medians.
pub fn bench(args: &Bench) -> Result<(), Error> {
    device::initialise(1);
    let there = Device::all();
    let device = args.device.unwrap_or(there[0]);
    check_device(device, &there)?;
    let job = Job { args, sizes: args.preset.sizes(), precision: args.precision.into(), device };
    with_folder(|folder| job.measure(folder))
}

impl Job<'_> {
    fn measure(&self, folder: &std::path::Path) -> Result<(), Error> {
        let mut all = vec![self.ours(1)?];
        if self.args.pytorch {
            for variant in self.variants() {
                let how = (self.precision, self.device, self.args.threads);
                all.push(Contender::pytorch(folder, &self.sizes, how, &variant)?);
            }
        }
        let failed = warm_up(&mut all)?;
        let seconds = all[0].steps(WARM_UP)? / WARM_UP as f64;
        let turn = ((TURN_SECONDS / seconds) as usize).max(1);
        let lines = self.turns(&mut all, turn)?;
        let peak = all[0].number("peak", "flops_per_second")?;
        let products =
            median((0..3).map(|_| {
                all[0].number(&format!("products {turn}"), "seconds").unwrap_or(f64::NAN)
            }));
        all[0].tell(&format!("phases {turn}"))?;
        let phases = all[0].answer()?;
        drop(all);
        let (workers, together) = (self.workers(turn)?, self.together(turn)?);
        let products = products / turn as f64;
        let tokens = self.sizes.tokens() as f64;
        let flops = flops::train_flops(&self.sizes.architecture(), self.sizes.seq_len) as f64
            / self.sizes.seq_len as f64;
        if self.args.json {
            let line = |line: &Line| {
                json!({ "name": line.name, "tokens_per_second": median(line.speeds.iter().copied()),
                "ratio": median(line.ratios.iter().copied()), "speeds": line.speeds })
            };
            return print_json(
                &json!({ "preset": self.args.preset.name(), "peak_flops_per_second": peak,
                "flops_per_token": flops, "products_seconds_per_step": products, "phases_seconds": phases,
                "contenders": lines.iter().map(line).collect::<Vec<_>>(), "failed": failed,
                "workers": workers.iter().map(|(n, speed)| json!({ "workers": n, "tokens_per_second": speed })).collect::<Vec<_>>(),
                "together": together.iter().map(|(n, speed, ratio)|
                    json!({ "replicates": n, "tokens_per_second": speed, "to_one_after_another": ratio })).collect::<Vec<_>>() }),
            );
        }
        let row = |line: &Line| {
            let speed = median(line.speeds.iter().copied());
            let (low, high) =
                line.ratios.iter().fold((f64::INFINITY, 0.0f64), |(a, b), r| (r.min(a), r.max(b)));
            vec![
                line.name.clone(),
                count(speed),
                format!("{:.2} [{low:.2}, {high:.2}]", median(line.ratios.iter().copied())),
                format!("{:.0} %", 100.0 * speed * flops / peak),
                format!("{:.0} %", 100.0 * (1.0 - products * speed / tokens)),
            ]
        };
        let against = if lines.len() > 1 { "to the best PyTorch" } else { "to itself" };
        let mut text = format!(
            "{}, {} parameters, {} tokens a step, {:?}, {} thread(s) of {}; n = {} turns of {turn} steps, medians [extremes]\n\n",
            self.args.preset.name(),
            count(n_parameters(&self.sizes.architecture()) as f64),
            self.sizes.tokens(),
            self.precision,
            self.args.threads,
            self.device.describe(),
            self.args.runs,
        );
        text += &table(
            &["", "tokens/s", against, "MFU", "not products"],
            lines.iter().map(row).collect(),
            &[1, 2, 3, 4],
        );
        let total: f64 =
            phases.as_object().into_iter().flatten().filter_map(|(_, s)| s.as_f64()).sum();
        let share = |name: &str| {
            format!("{name} {:.1} %", 100.0 * phases[name].as_f64().unwrap_or(f64::NAN) / total)
        };
        text += &format!(
            "\n\nour step   {}\npeak       {}FLOP/s, of a large matrix product in the same precision\n\
             products   {:.2} ms a step: all matrix products and softmaxes of it by themselves",
            ["data", "forward", "backward", "optimizer"].map(share).join(", "),
            scaled(peak),
            1e3 * products,
        );
        for (n, speed) in &workers {
            text += &format!(
                "\n{n} worker(s)  {} tokens/s, {:.2} times one",
                count(*speed),
                speed / workers[0].1
            );
        }
        for (n, speed, ratio) in &together {
            text += &format!(
                "\n{n} together  {} tokens/s, {ratio:.2} times one after another",
                count(*speed)
            );
        }
        failed.iter().for_each(|name| text += &format!("\nfailed: {name}"));
        print(&text)
    }

    fn ours(&self, together: u16) -> Result<Contender, Error> {
        Contender::ours(
            self.args.preset,
            (self.precision, self.device, self.args.threads),
            together,
        )
    }

    /// The ways of PyTorch that may be the fastest here.
    fn variants(&self) -> Vec<Variant> {
        let attentions: &[&'static str] =
            if self.device == Device::Cpu { &["sdpa", "bmm"] } else { &["sdpa"] };
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
        for _ in 0..self.args.runs {
            for (contender, line) in all.iter_mut().zip(&mut lines) {
                line.speeds.push((steps * self.sizes.tokens()) as f64 / contender.steps(steps)?);
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
    fn together(&self, steps: usize) -> Result<Vec<(u16, f64, f64)>, Error> {
        let mut measured = vec![];
        for &n in &self.args.together {
            let mut pair = vec![self.ours(1)?, self.ours(n)?];
            warm_up(&mut pair)?;
            let (mut speeds, mut ratios) = (vec![], vec![]);
            for _ in 0..self.args.runs {
                let alone = pair[0].steps(steps)?;
                let together = pair[1].steps(steps)? / f64::from(n);
                speeds.push((steps * self.sizes.tokens()) as f64 / together);
                ratios.push(alone / together);
            }
            measured.push((n, median(speeds.into_iter()), median(ratios.into_iter())));
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
            for _ in 0..self.args.runs {
                pool.iter_mut().try_for_each(|worker| worker.tell(&steps.to_string()))?;
                let seconds = pool
                    .iter_mut()
                    .map(|worker| Ok(worker.answer()?["seconds"].as_f64().unwrap_or(f64::NAN)));
                let seconds = seconds.collect::<Result<Vec<f64>, Error>>()?;
                speeds.push(
                    seconds.iter().map(|s| (steps * self.sizes.tokens()) as f64 / s).sum::<f64>(),
                );
            }
            measured.push((n, median(speeds.into_iter())));
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
