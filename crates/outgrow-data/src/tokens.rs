//! Token ids as they lie in memory.

use std::ops::Range;

/// Token ids, in as few bytes each as the vocabulary allows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Tokens<'a> {
    /// Bytes of text, or of a vocabulary of at most 256.
    U8(&'a [u8]),
    /// Of a vocabulary of at most 65,536.
    U16(&'a [u16]),
    /// Of a larger one.
    U32(&'a [u32]),
}

impl<'a> Tokens<'a> {
    /// How many there are.
    #[allow(clippy::len_without_is_empty)] // Nobody asks for none: a corpus has more than a sequence.
    pub fn len(self) -> usize {
        match self {
            Tokens::U8(ids) => ids.len(),
            Tokens::U16(ids) => ids.len(),
            Tokens::U32(ids) => ids.len(),
        }
    }

    /// Some of them.
    ///
    /// # Panics
    /// If they are not there.
    pub fn range(self, range: Range<usize>) -> Tokens<'a> {
        match self {
            Tokens::U8(ids) => Tokens::U8(&ids[range]),
            Tokens::U16(ids) => Tokens::U16(&ids[range]),
            Tokens::U32(ids) => Tokens::U32(&ids[range]),
        }
    }

    /// Their sum.
    pub(crate) fn sum(self) -> u64 {
        match self {
            Tokens::U8(own) => own.iter().map(|&id| u64::from(id)).sum(),
            Tokens::U16(own) => own.iter().map(|&id| u64::from(id)).sum(),
            Tokens::U32(own) => own.iter().map(|&id| u64::from(id)).sum(),
        }
    }

    /// Appends them to `ids`.
    pub fn append_to(self, ids: &mut Vec<i64>) {
        match self {
            Tokens::U8(own) => ids.extend(own.iter().map(|&id| i64::from(id))),
            Tokens::U16(own) => ids.extend(own.iter().map(|&id| i64::from(id))),
            Tokens::U32(own) => ids.extend(own.iter().map(|&id| i64::from(id))),
        }
    }
}

/// How ids lie in files: in so many little-endian bytes each.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Encoding {
    pub width: usize,
}

impl Encoding {
    /// In as few bytes as a vocabulary of this size allows.
    pub fn of(vocab_size: usize) -> Self {
        let width = match vocab_size {
            0..=0x100 => 1,
            0x101..=0x1_0000 => 2,
            _ => 4,
        };
        Self { width }
    }

    pub fn encode(self, ids: &[u32]) -> Vec<u8> {
        ids.iter().flat_map(|id| id.to_le_bytes().into_iter().take(self.width)).collect()
    }
}

/// Ids of this width in little-endian bytes.
///
/// # Panics
/// If the bytes do not begin at a whole id, which those of a mapped file do.
pub(crate) fn tokens(bytes: &[u8], width: usize) -> Tokens<'_> {
    const {
        assert!(
            cfg!(target_endian = "little"),
            "token files are mapped as they are, in little-endian"
        )
    };
    // SAFETY: any bits are a number of these types.
    let (before, u16s, u32s) = unsafe { (0, bytes.align_to::<u16>(), bytes.align_to::<u32>()) };
    debug_assert_eq!(before, 0);
    match width {
        1 => Tokens::U8(bytes),
        2 => {
            assert!(u16s.0.is_empty() && u16s.2.is_empty());
            Tokens::U16(u16s.1)
        }
        _ => {
            assert!(u32s.0.is_empty() && u32s.2.is_empty());
            Tokens::U32(u32s.1)
        }
    }
}
