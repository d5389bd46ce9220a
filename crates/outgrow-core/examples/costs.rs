//! Prints random architectures and what the cost model says of them, one JSON object a line:
//! `scripts/check_flops.py` reads them and asks PyTorch.

use outgrow_core::{compose::random_architecture, cost, stream::stream};

fn main() {
    for number in 0..60 {
        let architecture = random_architecture(&mut stream(number, "costs"));
        let seq_len = architecture.seq_len;
        let line = serde_json::json!({
            "forward_flops": cost::forward_flops(&architecture, seq_len),
            "train_flops": cost::train_flops(&architecture, seq_len),
            "parameters": cost::parameters(&architecture),
            "architecture": architecture,
        });
        println!("{line}");
    }
}
