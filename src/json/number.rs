//! JSON's numbers as the machine's, and back.

use std::io::Write;

/// A number by its decimal digits: those from `first` to `end` of whole and fraction together, times ten to the power
/// of `exponent`. Neither the first nor the last of them is 0.
struct Decimal<'a> {
    negative: bool,
    whole: &'a str,
    fraction: &'a str,
    first: usize,
    end: usize,
    exponent: i64,
}

impl<'a> Decimal<'a> {
    fn parse(number: &'a str) -> Self {
        let (negative, number) = match number.strip_prefix('-') {
            Some(rest) => (true, rest),
            None => (false, number),
        };
        let (mantissa, exponent) = match number.split_once(['e', 'E']) {
            Some((mantissa, exponent)) => (mantissa, parse_exponent(exponent)),
            None => (number, 0),
        };
        let (whole, fraction) = mantissa.split_once('.').unwrap_or((mantissa, ""));
        let mut decimal = Self { negative, whole, fraction, first: 0, end: 0, exponent };
        let is_significant = |digit: u8| digit != b'0';
        if let Some(last) = decimal.all_digits().rposition(is_significant) {
            decimal.first = decimal.all_digits().position(is_significant).unwrap_or(last);
            decimal.end = last + 1;
            decimal.exponent = exponent.saturating_add(whole.len() as i64 - decimal.end as i64);
        }
        decimal
    }

    fn all_digits(&self) -> impl DoubleEndedIterator<Item = u8> + ExactSizeIterator + use<'a> {
        let (whole, fraction) = (self.whole.as_bytes(), self.fraction.as_bytes());
        (0..whole.len() + fraction.len()).map(move |at| match at.checked_sub(whole.len()) {
            None => whole[at],
            Some(at) => fraction[at],
        })
    }

    /// How many significant digits there are; none: the number is 0.
    fn len(&self) -> usize {
        self.end - self.first
    }

    fn digits(&self) -> impl Iterator<Item = u8> + use<'a> {
        self.all_digits().skip(self.first).take(self.len())
    }
}

/// An exponent beyond what fits is as good as infinite.
fn parse_exponent(text: &str) -> i64 {
    let limit = if text.starts_with('-') { i64::MIN } else { i64::MAX };
    text.parse().unwrap_or(limit)
}

/// The exact integer that a JSON number means, if it is one and fits: `3`, `3.0` and `3e2` do.
pub(crate) fn to_i64(number: &str) -> Option<i64> {
    // Most are digits alone.
    number.parse().ok().or_else(|| decimal_to_i64(number))
}

#[cold]
fn decimal_to_i64(number: &str) -> Option<i64> {
    let decimal = Decimal::parse(number);
    if decimal.len() == 0 {
        return Some(0);
    }
    // 64 bits hold no more digits than that.
    if decimal.len() > 19 {
        return None;
    }
    let zeros = u32::try_from(decimal.exponent).ok()?;
    let significant = decimal.digits().fold(0u64, |sum, digit| sum * 10 + u64::from(digit - b'0'));
    let magnitude = significant.checked_mul(10u64.checked_pow(zeros)?)?;
    if decimal.negative { 0i64.checked_sub_unsigned(magnitude) } else { i64::try_from(magnitude).ok() }
}

/// Digits that decide which double is nearest, and one more that says whether others follow.
const DECISIVE: usize = 769;

/// From so many digits on, std's parser calculates with integers. With fewer it may use the floating-point unit, whose
/// results depend on the host's rounding mode.
const INTEGERS_ONLY: usize = 20;

/// The nearest double, ties to even, whatever the host's rounding mode is; `None` if the number is too large for one.
pub(crate) fn to_f64(number: &str) -> Option<f64> {
    match number.parse::<i64>() {
        // Such integers are doubles. The sign of a zero is left to the other way.
        Ok(integer) if integer != 0 && integer.unsigned_abs() <= 1 << f64::MANTISSA_DIGITS => Some(integer as f64),
        _ => decimal_to_f64(number),
    }
}

fn decimal_to_f64(number: &str) -> Option<f64> {
    let decimal = Decimal::parse(number);
    let mut text = [b'0'; 1 + DECISIVE + 1 + "e-10000".len()];
    text[0] = if decimal.negative { b'-' } else { b'+' };
    for (into, digit) in text[1..=DECISIVE].iter_mut().zip(decimal.digits()) {
        *into = digit;
    }
    if decimal.len() > DECISIVE {
        text[1 + DECISIVE] = b'1';
    }
    let count = decimal.len().clamp(INTEGERS_ONLY, DECISIVE + 1);
    let exponent = decimal.exponent.saturating_add(decimal.len() as i64 - count as i64);
    // Beyond these it is infinite or 0, and std's parser would drop digits of the exponent.
    let exponent = exponent.clamp(-10_000, 10_000);
    let mut rest = &mut text[1 + count..];
    write!(rest, "e{exponent}").ok()?;
    let unused = rest.len();
    let end = text.len() - unused;
    std::str::from_utf8(&text[..end]).ok()?.parse().ok().filter(|double: &f64| double.is_finite())
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
