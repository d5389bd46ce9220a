//! Types of stored numbers.

use tch::Kind;

/// The type that weights are stored in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[allow(missing_docs)]
pub enum Dtype {
    Float64,
    Float32,
    Bfloat16,
    Float16,
}

impl Dtype {
    /// All of them, longest first.
    pub const ALL: [Dtype; 4] = [Dtype::Float64, Dtype::Float32, Dtype::Bfloat16, Dtype::Float16];

    /// What PyTorch calls it.
    pub fn name(self) -> &'static str {
        match self {
            Dtype::Float64 => "float64",
            Dtype::Float32 => "float32",
            Dtype::Bfloat16 => "bfloat16",
            Dtype::Float16 => "float16",
        }
    }

    /// Bytes of a number.
    pub(crate) fn bytes(self) -> u64 {
        self.kind().elt_size_in_bytes() as u64
    }

    pub(crate) fn kind(self) -> Kind {
        match self {
            Dtype::Float64 => Kind::Double,
            Dtype::Float32 => Kind::Float,
            Dtype::Bfloat16 => Kind::BFloat16,
            Dtype::Float16 => Kind::Half,
        }
    }

    pub(crate) fn of(kind: Kind) -> Self {
        Self::ALL.into_iter().find(|dtype| dtype.kind() == kind).unwrap_or(Dtype::Float32)
    }

    pub(crate) fn in_file(self) -> safetensors::Dtype {
        match self {
            Dtype::Float64 => safetensors::Dtype::F64,
            Dtype::Float32 => safetensors::Dtype::F32,
            Dtype::Bfloat16 => safetensors::Dtype::BF16,
            Dtype::Float16 => safetensors::Dtype::F16,
        }
    }

    pub(crate) fn of_file(dtype: safetensors::Dtype) -> Option<Self> {
        Self::ALL.into_iter().find(|known| known.in_file() == dtype)
    }
}
