//! Kubernetes quantities and eviction thresholds.

/// What a threshold of evictionHard comes to on a resource of this capacity; `None` if it is switched off (0 % or 100 %) or garbled.
pub fn threshold(text: &str, capacity: i64) -> Option<i64> {
    let text = text.trim();
    match text.strip_suffix('%') {
        Some(percent) => {
            let percent: f64 = percent.parse().ok()?;
            (percent > 0.0 && percent < 100.0).then(|| (capacity as f64 * percent / 100.0) as i64)
        }
        None => parse(text).filter(|value| *value > 0),
    }
}

/// A quantity (apimachinery pkg/api/resource), rounded up to a whole number.
pub fn parse(text: &str) -> Option<i64> {
    let end = text.find(|char: char| !matches!(char, '0'..='9' | '.' | '+' | '-')).unwrap_or(text.len());
    let (number, suffix) = text.split_at(end);
    let number: f64 = number.parse().ok()?;
    let factor = match suffix {
        "" => 1.0,
        "m" => 1e-3,
        "k" => 1e3,
        "M" => 1e6,
        "G" => 1e9,
        "T" => 1e12,
        "P" => 1e15,
        "E" => 1e18,
        "Ki" => 1024.0,
        "Mi" => 1_048_576.0,
        "Gi" => 1_073_741_824.0,
        "Ti" => 1_099_511_627_776.0,
        "Pi" => 1_125_899_906_842_624.0,
        "Ei" => 1_152_921_504_606_846_976.0,
        exponent => 10_f64.powi(exponent.strip_prefix(['e', 'E'])?.parse().ok()?),
    };
    let value = (number * factor).ceil();
    (value.is_finite() && value.abs() < 9e18).then_some(value as i64)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quantities_have_decimal_and_binary_suffixes() {
        for (text, value) in
            [("100Mi", 104_857_600), ("1.5Gi", 1_610_612_736), ("500M", 500_000_000), ("1e3", 1000), ("7", 7), ("1500m", 2)]
        {
            assert_eq!(parse(text), Some(value), "{text}");
        }
        for text in ["", "Mi", "ten", "1Zi", "1e", "NaN", "1e999", "--1"] {
            assert_eq!(parse(text), None, "{text}");
        }
    }

    #[test]
    fn thresholds_are_shares_or_amounts_and_can_be_off() {
        assert_eq!(threshold("10%", 1000), Some(100));
        assert_eq!(threshold(" 2.5% ", 1000), Some(25));
        assert_eq!(threshold("1Ki", 10), Some(1024));
        assert_eq!(threshold("0%", 1000), None);
        assert_eq!(threshold("100%", 1000), None);
        assert_eq!(threshold("x%", 1000), None);
    }
}
