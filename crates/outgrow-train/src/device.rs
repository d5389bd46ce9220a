//! Where to compute: one binary for machines with and without a GPU.

use std::{fmt, str::FromStr, sync::Once};

/// The version that this program was built for; tch refuses to build against another.
pub const LIBTORCH_VERSION: &str = "2.11";

/// A place to compute.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Device {
    /// libtorch's CPU kernels, or the fused passes.
    Cpu,
    /// The CUDA device of this number.
    Cuda(usize),
}

/// Makes libtorch ready in this process: finds CUDA where there is one, sets the number of threads.
///
/// The linker drops libtorch's CUDA half from a binary that names none of its symbols, and libtorch
/// then sees no GPU without a word; so it is opened here, before anything asks.
pub fn initialise(threads: usize) {
    static ONCE: Once = Once::new();
    ONCE.call_once(|| {
        // SAFETY: libtorch's own initialisers run, as they do in every program that is linked
        // against it.
        let cuda =
            unsafe { libloading::os::unix::Library::open(Some("libtorch_cuda.so"), LAZY_GLOBAL) };
        // Its absence is the ordinary case of a machine without a GPU. It must never be unloaded.
        if let Ok(library) = cuda {
            std::mem::forget(library);
        }
    });
    tch::set_num_threads(threads.max(1) as i32);
}

const LAZY_GLOBAL: std::ffi::c_int =
    libloading::os::unix::RTLD_LAZY | libloading::os::unix::RTLD_GLOBAL;

impl Device {
    /// The devices of this machine that a sweep uses unless told otherwise: every GPU, or the
    /// processor.
    pub fn all() -> Vec<Device> {
        match tch::Cuda::device_count() {
            n if n > 0 && tch::Cuda::is_available() => (0..n as usize).map(Device::Cuda).collect(),
            _ => vec![Device::Cpu],
        }
    }

    /// Bytes of memory that are free here; none where that can't be found out.
    pub fn free_bytes(self) -> Option<u64> {
        match self {
            Device::Cpu => {
                let info = std::fs::read_to_string("/proc/meminfo").ok()?;
                let line = info.lines().find_map(|line| line.strip_prefix("MemAvailable:"))?;
                let free = line.split_whitespace().next()?.parse::<u64>().ok()? * 1024;
                Some(free.min(free_of_group().unwrap_or(u64::MAX)))
            }
            Device::Cuda(index) => {
                gpu_answer(&["--query-gpu=memory.free"], index)?.trim().parse().ok().map(bytes)
            }
        }
    }

    /// What each of so many workers that share this device may take of its memory; none where that
    /// can't be found out. On a processor it is what is free now, for memory is not theirs alone;
    /// on a GPU a share of all but what drivers keep.
    pub fn share_bytes(self, workers: usize) -> Option<u64> {
        match self {
            Device::Cpu => self.free_bytes(),
            Device::Cuda(index) => {
                let all: u64 =
                    gpu_answer(&["--query-gpu=memory.total"], index)?.trim().parse().ok()?;
                Some(bytes(all) / 10 * 9 / workers.max(1) as u64)
            }
        }
    }

    /// What libtorch takes for itself, whatever is computed: on a processor as measured, on a GPU
    /// CUDA's context and the first blocks of libtorch's allocator, as measured on an H200.
    pub fn base_bytes(self) -> u64 {
        match self {
            Device::Cpu => bytes(96),
            Device::Cuda(_) => bytes(900),
        }
    }

    /// Its name for people and for the record of an attempt.
    pub fn describe(self) -> String {
        match self {
            Device::Cpu => cpu_name(),
            Device::Cuda(index) => gpu_answer(&["--query-gpu=name"], index)
                .map(|name| name.trim().to_owned())
                .filter(|name| !name.is_empty())
                .unwrap_or_else(|| self.to_string()),
        }
    }

    pub(crate) fn tch(self) -> tch::Device {
        match self {
            Device::Cpu => tch::Device::Cpu,
            Device::Cuda(index) => tch::Device::Cuda(index),
        }
    }
}

/// Measures the most memory that this process takes.
pub struct MemoryGauge {
    device: Device,
    /// Of the processor, before anything was computed.
    before: u64,
}

impl MemoryGauge {
    /// What is taken now does not count.
    pub fn new(device: Device) -> Self {
        Self { device, before: resident("VmRSS:").unwrap_or(0) }
    }

    /// Forgets earlier peaks, where the system lets it.
    pub fn reset(&self) {
        // A system that refuses leaves the peak of the whole process, which is more.
        let _ = std::fs::write("/proc/self/clear_refs", "5");
    }

    /// Bytes at the peak since the last reset; none where that can't be found out. On a GPU what
    /// libtorch has taken, which it keeps.
    pub fn peak(&self) -> Option<u64> {
        match self.device {
            Device::Cpu => Some(resident("VmHWM:")?.saturating_sub(self.before)),
            Device::Cuda(index) => {
                let all = gpu_answer(&["--query-compute-apps=pid,used_memory"], index)?;
                let own = format!("{}, ", std::process::id());
                all.lines().find_map(|line| line.strip_prefix(&own))?.trim().parse().ok().map(bytes)
            }
        }
    }
}

/// A line of the system's account of this process, in bytes.
fn resident(name: &str) -> Option<u64> {
    let status = std::fs::read_to_string("/proc/self/status").ok()?;
    let line = status.lines().find_map(|line| line.strip_prefix(name))?;
    Some(line.split_whitespace().next()?.parse::<u64>().ok()? * 1024)
}

/// What the driver answers to a question about a GPU; sizes in MiB.
fn gpu_answer(query: &[&str], index: usize) -> Option<String> {
    let options = ["--format=csv,noheader,nounits", "-i", &index.to_string()];
    let answer =
        std::process::Command::new("nvidia-smi").args(query).args(options).output().ok()?;
    answer.status.success().then(|| String::from_utf8(answer.stdout).ok())?
}

fn bytes(mebibytes: u64) -> u64 {
    mebibytes << 20
}

/// What a container or a scheduler leaves of the memory it allows; none where it sets no limit.
fn free_of_group() -> Option<u64> {
    let group = std::fs::read_to_string("/proc/self/cgroup").ok()?;
    let folder =
        format!("/sys/fs/cgroup{}", group.lines().find_map(|line| line.strip_prefix("0::"))?);
    let number = |file: &str| {
        std::fs::read_to_string(format!("{folder}/{file}")).ok()?.trim().parse::<u64>().ok()
    };
    Some(number("memory.max")?.saturating_sub(number("memory.current")?))
}

fn cpu_name() -> String {
    let info = std::fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
    let name = info
        .lines()
        .find_map(|line| line.strip_prefix("model name")?.split(": ").nth(1).map(str::to_owned));
    name.unwrap_or_else(|| "cpu".into())
}

impl fmt::Display for Device {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Device::Cpu => f.write_str("cpu"),
            Device::Cuda(index) => write!(f, "cuda:{index}"),
        }
    }
}

impl FromStr for Device {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let number = text.strip_prefix("cuda").map(|rest| rest.strip_prefix(':').unwrap_or(rest));
        match (text, number) {
            ("cpu", _) => Ok(Device::Cpu),
            (_, Some("")) => Ok(Device::Cuda(0)),
            (_, Some(number)) => number
                .parse()
                .map(Device::Cuda)
                .map_err(|_| format!("`{text}`: cuda:N needs a number")),
            _ => Err(format!("`{text}` is no device; use cpu, cuda or cuda:N")),
        }
    }
}
