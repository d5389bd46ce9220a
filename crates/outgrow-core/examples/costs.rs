//! Prints random architectures and what the cost model says of them, one JSON object a line:
//! `scripts/check_flops.py` reads them and asks PyTorch.

use outgrow_core::model::n_parameters;
use outgrow_core::{flops, growth::compose::random_architecture, stream::stream};

fn main() {
    for number in 0..60 {
        let architecture = random_architecture(&mut stream(number, "costs"));
        let seq_len = architecture.seq_len;
        let line = serde_json::json!({
            "forward_flops": flops::forward_flops(&architecture, seq_len),
            "train_flops": flops::train_flops(&architecture, seq_len),
            "parameters": n_parameters(&architecture),
            "architecture": architecture,
        });
        println!("{line}");
    }
}
