//! JSON's numbers as the machine's, and back.

/// The exact integer that a JSON number means, if it is one and fits: `3`, `3.0` and `3e2` do.
pub(crate) fn to_i64(number: &str) -> Option<i64> {
    let (negative, number) = match number.strip_prefix('-') {
        Some(rest) => (true, rest),
        None => (false, number),
    };
    let (mantissa, exponent) = match number.split_once(['e', 'E']) {
        Some((mantissa, exponent)) => (mantissa, exponent_of(exponent)),
        None => (number, 0),
    };
    let (whole, fraction) = mantissa.split_once('.').unwrap_or((mantissa, ""));
    let digits = || whole.bytes().chain(fraction.bytes());
    let Some(first) = digits().position(|digit| digit != b'0') else {
        return Some(0);
    };
    let count = whole.len() + fraction.len();
    let last = count - digits().rev().position(|digit| digit != b'0')?;
    // The number is its digits from first to last, times ten to the power of `zeros`.
    let zeros = exponent.saturating_add(count as i64 - last as i64).saturating_sub(fraction.len() as i64);
    if zeros < 0 || zeros.saturating_add((last - first) as i64) > 19 {
        return None;
    }
    let significant =
        digits().skip(first).take(last - first).fold(0u64, |sum, digit| sum * 10 + u64::from(digit - b'0'));
    let magnitude = significant.checked_mul(10u64.checked_pow(zeros as u32)?)?;
    if negative { 0i64.checked_sub_unsigned(magnitude) } else { i64::try_from(magnitude).ok() }
}

/// An exponent beyond what fits is as good as infinite.
fn exponent_of(text: &str) -> i64 {
    let limit = if text.starts_with('-') { i64::MIN } else { i64::MAX };
    text.parse().unwrap_or(limit)
}

/// The nearest double; `None` if the number is too large for one.
pub(crate) fn to_f64(number: &str) -> Option<f64> {
    number.parse().ok().filter(|double: &f64| double.is_finite())
}

/// A finite double as Python's `repr` writes it: the shortest digits that mean it, an exponent from 1e16 and below 1e-4.
pub(crate) fn from_f64(double: f64) -> String {
    let shortest = format!("{double:e}");
    let (mantissa, exponent) = shortest.split_once('e').unwrap_or((&shortest, "0"));
    let exponent: i32 = exponent.parse().unwrap_or(0);
    if (-4..16).contains(&exponent) {
        return format!("{double:?}");
    }
    format!("{mantissa}e{}{:02}", if exponent < 0 { '-' } else { '+' }, exponent.abs())
}
