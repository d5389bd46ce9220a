//! Loops for the widest vectors that the processor has, without a word of assembler.

/// Runs a closure compiled for the processor's vector instructions. What is to be fast must be
/// inlined into it: the compiler then turns its plain loops into vectors. Nothing is contracted or
/// reordered, so all processors give the same bits.
#[inline(always)]
pub(super) fn simd<R>(run: impl FnOnce() -> R) -> R {
    #[cfg(target_arch = "x86_64")]
    {
        if is_x86_feature_detected!("avx512f")
            && is_x86_feature_detected!("avx512bw")
            && is_x86_feature_detected!("avx512dq")
            && is_x86_feature_detected!("avx512vl")
        {
            // SAFETY: the processor has all four that it is compiled for.
            return unsafe { avx512(run) };
        }
        if is_x86_feature_detected!("avx2") {
            // SAFETY: the processor has what it is compiled for.
            return unsafe { avx2(run) };
        }
    }
    run()
}

#[cfg(target_arch = "x86_64")]
#[target_feature(enable = "avx512f,avx512bw,avx512dq,avx512vl")]
fn avx512<R>(run: impl FnOnce() -> R) -> R {
    run()
}

#[cfg(target_arch = "x86_64")]
#[target_feature(enable = "avx2")]
fn avx2<R>(run: impl FnOnce() -> R) -> R {
    run()
}

/// How many partial sums run side by side; fixed, so that a sum is the same on every processor.
const LANES: usize = 16;

/// Σ f(a_i, b_i) in float32, in an order that vectors can keep.
#[inline(always)]
pub(super) fn sum<A: Copy, B: Copy>(a: &[A], b: &[B], f: impl Fn(A, B) -> f32) -> f32 {
    let (chunks_a, rest_a) = a.as_chunks::<LANES>();
    let (chunks_b, rest_b) = b.as_chunks::<LANES>();
    let mut lanes = [0.0f32; LANES];
    for (a, b) in chunks_a.iter().zip(chunks_b) {
        for i in 0..LANES {
            lanes[i] += f(a[i], b[i]);
        }
    }
    let rest: f32 = rest_a.iter().zip(rest_b).map(|(&a, &b)| f(a, b)).sum();
    lanes.iter().sum::<f32>() + rest
}

/// The largest of some numbers; NaN is not kept.
#[inline(always)]
pub(super) fn max(values: impl Iterator<Item = f32>) -> f32 {
    values.fold(f32::NEG_INFINITY, |a, b| if b > a { b } else { a })
}

/// eˣ within 2 units in the last place for −87 ≤ x ≤ 88, the same as at the ends beyond; NaN stays
/// NaN.
#[inline(always)]
pub(super) fn exp(x: f32) -> f32 {
    const SHIFT: f32 = 12_582_912.0; // 1.5 · 2²³: adding it rounds to whole numbers
    const LN_2: [f32; 2] = [0.693_359_4, -2.121_944_4e-4];
    let x = if x < -87.0 { -87.0 } else { x };
    let x = if x > 88.0 { 88.0 } else { x };
    let shifted = x * std::f32::consts::LOG2_E + SHIFT;
    let n = shifted - SHIFT;
    let r = (x - n * LN_2[0]) - n * LN_2[1];
    let p = 1.0 / 5040.0;
    let p = p * r + 1.0 / 720.0;
    let p = p * r + 1.0 / 120.0;
    let p = p * r + 1.0 / 24.0;
    let p = p * r + 1.0 / 6.0;
    let p = p * r + 0.5;
    let p = p * r + 1.0;
    let p = p * r + 1.0;
    p * f32::from_bits((shifted.to_bits() << 23).wrapping_add(0x3f80_0000))
}

/// A number that activations are kept in; all arithmetic is float32.
pub(super) trait Element: Copy + Send + Sync + 'static {
    /// Its name in libtorch.
    const KIND: tch::Kind;
    /// Its value.
    fn get(self) -> f32;
    /// The nearest to a value.
    fn put(value: f32) -> Self;
}

impl Element for f32 {
    const KIND: tch::Kind = tch::Kind::Float;

    #[inline(always)]
    fn get(self) -> f32 {
        self
    }

    #[inline(always)]
    fn put(value: f32) -> Self {
        value
    }
}

/// bfloat16: the upper half of a float32.
#[derive(Clone, Copy)]
#[repr(transparent)]
pub(super) struct Bf16(u16);

impl Element for Bf16 {
    const KIND: tch::Kind = tch::Kind::BFloat16;

    #[inline(always)]
    fn get(self) -> f32 {
        f32::from_bits(u32::from(self.0) << 16)
    }

    #[inline(always)]
    fn put(value: f32) -> Self {
        let bits = value.to_bits();
        // To the nearest, ties to even; NaN keeps a bit below the exponent.
        let rounded = bits.wrapping_add(0x7fff + ((bits >> 16) & 1)) >> 16;
        Self(if value.is_nan() { (bits >> 16 | 0x40) as u16 } else { rounded as u16 })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn exp_is_exact_to_two_units() {
        for i in 0..200_000 {
            let x = -87.0 + 175.0 * (i as f32 / 200_000.0);
            let (ours, exact) = (f64::from(exp(x)), f64::from(x).exp());
            assert!((ours - exact).abs() <= 2.4e-7 * exact, "{x}: {ours} {exact}");
        }
        assert!(exp(f32::NAN).is_nan());
        assert!(exp(f32::NEG_INFINITY) < 1.7e-38);
    }

    #[test]
    fn bfloat16_rounds_as_libtorch_does() {
        let values: Vec<f32> =
            (0..10_000).map(|i| (i as f32 * 0.37).sin() * 10f32.powi(i % 60 - 30)).collect();
        let theirs =
            tch::Tensor::from_slice(&values).to_kind(tch::Kind::BFloat16).to_kind(tch::Kind::Float);
        let theirs: Vec<f32> = Vec::try_from(&theirs).expect("numbers");
        let ours: Vec<f32> = values.iter().map(|&x| Bf16::put(x).get()).collect();
        assert_eq!(ours, theirs);
        assert!(Bf16::put(f32::NAN).get().is_nan() && Bf16::put(f32::INFINITY).get().is_infinite());
    }

    #[test]
    fn all_instruction_sets_give_the_same_bits() {
        let a: Vec<f32> = (0..1003).map(|i| (i as f32 * 0.1).sin()).collect();
        let b: Vec<f32> = (0..1003).map(|i| (i as f32 * 0.3).cos()).collect();
        let run = || (sum(&a, &b, |a, b| a * b), a.iter().map(|&x| exp(x)).collect::<Vec<f32>>());
        assert_eq!(simd(run), run());
    }
}
