//! A table of text, columns as wide as their widest cell. Cells may hold ANSI colours, which take no room.

/// The rows under a head, ending in a newline. The last column is not padded.
pub(crate) fn table(head: &[&str], rows: &[Vec<String>]) -> String {
    let width = |column: usize| {
        let cells = rows.iter().filter_map(|row| row.get(column)).map(|cell| shown_width(cell));
        cells.chain([head[column].chars().count()]).max().unwrap_or(0)
    };
    let widths: Vec<usize> = (0..head.len()).map(width).collect();
    let mut out = String::new();
    line(&mut out, head.iter().map(|cell| (*cell).to_owned()), &widths);
    for row in rows {
        line(&mut out, row.iter().cloned(), &widths);
    }
    out
}

fn line(out: &mut String, cells: impl ExactSizeIterator<Item = String>, widths: &[usize]) {
    let last = cells.len().saturating_sub(1);
    for (column, cell) in cells.enumerate() {
        out.push_str(&cell);
        if column < last {
            let pad = widths[column].saturating_sub(shown_width(&cell)) + 2;
            out.extend(std::iter::repeat_n(' ', pad));
        }
    }
    out.push('\n');
}

fn shown_width(text: &str) -> usize {
    let mut width = 0;
    let mut in_escape = false;
    for c in text.chars() {
        match (in_escape, c) {
            (false, '\u{1b}') => in_escape = true,
            (true, 'm') => in_escape = false,
            (true, _) => {}
            (false, _) => width += 1,
        }
    }
    width
}

#[cfg(test)]
mod tests {
    use super::table;

    #[test]
    fn columns_line_up_whatever_colours_they_hold() {
        let rows = [vec!["\u{1b}[1;31mnot-ready\u{1b}[0m".to_owned(), "a".to_owned()], vec!["ok".to_owned(), "b".to_owned()]];
        assert_eq!(table(&["VERDICT", "X"], &rows), "VERDICT    X\n\u{1b}[1;31mnot-ready\u{1b}[0m  a\nok         b\n");
    }
}
