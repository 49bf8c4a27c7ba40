//! Quantities (apimachinery pkg/api/resource ParseQuantity), as strictly as the kubelet reads them.

/// A quantity in billionths; `value` is `None` if it is valid and too large to count.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Amount {
    pub(super) nano: Option<i128>,
    pub(super) negative: bool,
}

impl Amount {
    pub(super) fn is_zero(self) -> bool {
        self.nano == Some(0)
    }
}

/// `None`: "quantities must match the regular expression" or "unable to parse quantity's suffix".
pub(super) fn parse(text: &str) -> Option<Amount> {
    let (negative, rest) = match text.strip_prefix('-') {
        Some(rest) => (true, rest),
        None => (false, text.strip_prefix('+').unwrap_or(text)),
    };
    let end = rest.find(|char: char| !char.is_ascii_digit() && char != '.').unwrap_or(rest.len());
    let (number, suffix) = rest.split_at(end);
    let (whole, fraction) = number.split_once('.').unwrap_or((number, ""));
    if (whole.is_empty() && fraction.is_empty()) || fraction.contains('.') {
        return None;
    }
    let factor = factor(suffix)?;
    let nano = nano(whole, fraction, factor);
    let zero = number.bytes().all(|byte| matches!(byte, b'0' | b'.'));
    let nano = if zero { Some(0) } else { nano.map(|nano| if negative { -nano } else { nano }) };
    Some(Amount { nano, negative: negative && !zero })
}

#[derive(Clone, Copy)]
enum Factor {
    Times(i128),
    TenTo(i32),
}

fn factor(suffix: &str) -> Option<Factor> {
    let decimal = ["n", "u", "m", "", "k", "M", "G", "T", "P", "E"].iter().position(|known| *known == suffix);
    if let Some(index) = decimal {
        return Some(Factor::TenTo(i32::try_from(index).ok()? * 3 - 9));
    }
    let binary = ["Ki", "Mi", "Gi", "Ti", "Pi", "Ei"].iter().position(|known| *known == suffix);
    if let Some(index) = binary {
        return Some(Factor::Times(1_i128 << (10 * (index + 1))));
    }
    Some(Factor::TenTo(suffix.strip_prefix(['e', 'E'])?.parse().ok()?))
}

fn nano(whole: &str, fraction: &str, factor: Factor) -> Option<i128> {
    let digits: i128 = format!("0{whole}{fraction}").parse().ok()?;
    let scale = 9 - i32::try_from(fraction.len()).ok()?;
    let (digits, scale) = match factor {
        Factor::Times(times) => (digits.checked_mul(times)?, scale),
        Factor::TenTo(power) => (digits, scale.checked_add(power)?),
    };
    let power = 10_i128.checked_pow(scale.unsigned_abs())?;
    // What is finer than a billionth is rounded up.
    if scale >= 0 { digits.checked_mul(power) } else { Some((digits + power - 1) / power) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quantities_are_read_as_the_kubelet_reads_them() {
        let nano = |text: &str| parse(text).unwrap().nano.unwrap();
        assert_eq!(nano("100m"), 100_000_000);
        assert_eq!(nano("1.5Gi"), 1_610_612_736 * 1_000_000_000);
        assert_eq!(nano("1e3"), nano("1k"));
        assert_eq!(nano("-1"), -1_000_000_000);
        assert_eq!(nano(".5"), 500_000_000);
        assert_eq!(nano("1."), 1_000_000_000);
        assert!(parse("0").unwrap().is_zero() && parse("0Gi").unwrap().is_zero());
        assert_eq!(parse("9999999999999999999E").unwrap(), Amount { nano: None, negative: false });
    }

    #[test]
    fn what_is_no_quantity_is_none() {
        for text in ["", "Mi", "100mb", "1K", "1 Gi", "ten", "1Gib", "--1", "1.2.3", "1e", "10%", ".", "+-1"] {
            assert_eq!(parse(text), None, "{text}");
        }
    }
}
