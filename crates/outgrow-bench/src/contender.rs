//! Programs that train the same model, ours and PyTorch's, each a process that waits to be told: a
//! number of steps a line, the seconds that they took in answer. They take turns in one run, so
//! that a noisy machine disturbs all alike.

use std::{
    io::{BufRead, BufReader, Write},
    path::{Path, PathBuf},
    process::{Child, ChildStdin, ChildStdout, Command, Stdio},
};

use outgrow::{
    Error,
    bench::{Preset, PresetSizes},
};
use outgrow_core::sweep::Precision;
use outgrow_train::{
    Device, Phase,
    bench::{Steps, peak},
    device,
};
use serde_json::{Value, json};

use crate::Model;

/// Steps a preset when told to: what `outgrow-bench steps` starts
#[derive(clap::Args)]
pub struct Serve {
    #[command(flatten)]
    model: Model,
    /// Where to compute
    #[arg(long, default_value = "cpu")]
    device: Device,
    /// CPU threads
    #[arg(long, default_value_t = 1)]
    threads: u16,
    /// How many replicates step as one model
    #[arg(long, default_value_t = 1)]
    stacked_replicates: u16,
}

/// The training loop in PyTorch.
const PYTORCH: &str = include_str!("../../../scripts/pytorch_gpt.py");

/// A process that steps when it is told to.
pub struct Contender {
    pub name: String,
    child: Child,
    orders: ChildStdin,
    answers: BufReader<ChildStdout>,
}

/// In what, where and with how many threads everyone computes.
#[derive(Clone, Copy)]
pub struct Place {
    pub precision: Precision,
    pub device: Device,
    pub threads: u16,
}

/// How PyTorch trains.
pub struct Variant {
    pub attention: &'static str,
    pub optimizer: &'static str,
    pub compile: bool,
}

impl Contender {
    /// This program, with so many replicates as one model.
    pub fn ours(preset: Preset, place: Place, replicates: u16) -> Result<Self, Error> {
        let program =
            std::env::current_exe().map_err(Error::environment("this program's own path"))?;
        let mut command = Command::new(program);
        command.args(["serve", "--preset", preset.name(), "--device", &place.device.to_string()]);
        command.args(["--precision", name_of(place.precision)]);
        command.args(["--threads", &place.threads.to_string()]);
        command.args(["--stacked-replicates", &replicates.to_string()]);
        Self::start("outgrow".into(), command)
    }

    /// PyTorch, from a script in `folder`.
    pub fn pytorch(
        folder: &Path,
        sizes: &PresetSizes,
        place: Place,
        how: &Variant,
    ) -> Result<Self, Error> {
        let script = folder.join("pytorch_gpt.py");
        std::fs::write(&script, PYTORCH).map_err(Error::environment(script.display()))?;
        let PresetSizes { n_layers, n_heads, d_model, seq_len, batch_size, vocab_size } = *sizes;
        let Place { precision, device, threads } = place;
        let spec = json!({
            "n_layers": n_layers, "n_heads": n_heads, "d_model": d_model, "seq_len": seq_len,
            "batch": batch_size, "vocab": vocab_size, "precision": name_of(precision),
            "attention": how.attention, "optimizer": how.optimizer, "compile": how.compile,
            "device": device.to_string(), "threads": threads,
        });
        let mut command = Command::new("python3");
        command
            .arg(script)
            .arg(spec.to_string())
            .env("TORCHINDUCTOR_CACHE_DIR", folder.join("compiled"));
        let eager = if how.compile { "compiled" } else { "eager" };
        Self::start(format!("PyTorch {eager}, {}, {} AdamW", how.attention, how.optimizer), command)
    }

    fn start(name: String, mut command: Command) -> Result<Self, Error> {
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::null());
        let mut child = command.spawn().map_err(Error::environment(&name))?;
        let orders = child.stdin.take().expect("it is piped");
        let answers = BufReader::new(child.stdout.take().expect("it is piped"));
        Ok(Self { name, child, orders, answers })
    }

    /// Tells it to do something.
    pub fn tell(&mut self, order: &str) -> Result<(), Error> {
        writeln!(self.orders, "{order}").map_err(Error::environment(&self.name))
    }

    /// Waits for its answer.
    pub fn answer(&mut self) -> Result<Value, Error> {
        let mut line = String::new();
        self.answers.read_line(&mut line).map_err(Error::environment(&self.name))?;
        serde_json::from_str(&line)
            .map_err(|_| Error::Environment(format!("{} ended without an answer", self.name)))
    }

    /// Seconds of so many steps.
    pub fn steps(&mut self, steps: usize) -> Result<f64, Error> {
        self.number(&steps.to_string(), "seconds")
    }

    /// One number of the answer to an order.
    pub fn number(&mut self, order: &str, field: &str) -> Result<f64, Error> {
        self.tell(order)?;
        Ok(self.answer()?[field].as_f64().unwrap_or(f64::NAN))
    }
}

impl Drop for Contender {
    fn drop(&mut self) {
        // It may have ended by itself.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn name_of(precision: Precision) -> &'static str {
    match precision {
        Precision::Float32 => "float32",
        Precision::Bfloat16 => "bfloat16",
        Precision::Float64 => "float64",
    }
}

/// Answers on standard output what standard input asks for: `20` (steps), `phases 20`, `products
/// 20`, `checkpoint 1`, `peak`.
pub fn serve(args: &Serve) -> Result<(), Error> {
    device::initialise(usize::from(args.threads));
    let Model { preset, precision } = args.model;
    let sizes = preset.sizes();
    let settings = sizes.step_settings(precision);
    let mut steps = Steps::new(settings, sizes.batch_size, args.device, args.stacked_replicates);
    for line in std::io::stdin().lines() {
        let line = line.map_err(Error::environment("standard input"))?;
        let answer = match line.as_str() {
            "peak" => json!({ "flops_per_second": peak(precision, args.device) }),
            order => answer(&mut steps, order)?,
        };
        println!("{answer}");
    }
    Ok(())
}

fn answer(steps: &mut Steps, line: &str) -> Result<Value, Error> {
    let (order, n) = line.split_once(' ').unwrap_or(("steps", line));
    let n = n.parse().unwrap_or(1);
    Ok(match order {
        "phases" => phases(steps, n),
        "checkpoint" => {
            // Beside the working folder, for its disk is the one that counts.
            let folder = PathBuf::from(format!("outgrow-bench-checkpoint-{}", std::process::id()));
            let written = steps.checkpoint(&folder).map_err(Error::environment(folder.display()));
            let _ = std::fs::remove_dir_all(&folder);
            let (seconds, bytes) = written?;
            json!({ "seconds": seconds, "bytes": bytes })
        }
        "products" => json!({ "seconds": steps.products(n) }),
        _ => {
            let (seconds, loss) = steps.run(n, &mut |_| ());
            json!({ "seconds": seconds, "loss": loss })
        }
    })
}

/// Seconds of each part of so many steps; the device is waited for after each, so that their sum
/// exceeds that of free steps.
fn phases(steps: &mut Steps, n: usize) -> Value {
    let mut seconds = [0.0; 4];
    let mut last = std::time::Instant::now();
    let waiter = steps.waiter();
    steps.run(n, &mut |phase: Phase| {
        waiter();
        seconds[phase as usize] += last.elapsed().as_secs_f64();
        last = std::time::Instant::now();
    });
    let [data, forward, backward, optimizer] = seconds;
    json!({ "data": data, "forward": forward, "backward": backward, "optimizer": optimizer })
}
