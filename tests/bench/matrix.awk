# Medians of several JSON files' lines as one table: a row for each operation, a column for each file, whose options head it.
# -v across="NAME ...": the other way round, of these operations alone.
FNR == 1 {
    columns++
    match($0, /"options":"[^"]*"/)
    head[columns] = RLENGTH > 12 ? substr($0, RSTART + 11, RLENGTH - 12) : "default"
    match($0, /"unit":"[^"]*"/)
    unit = substr($0, RSTART + 8, RLENGTH - 9)
}
{
    match($0, /"name":"[^"]*"/)
    name = substr($0, RSTART + 8, RLENGTH - 9)
    match($0, /"median":[-0-9]*/)
    if (!(name in row)) {
        row[name]
        names[++rows] = name
    }
    median[name, columns] = substr($0, RSTART + 9, RLENGTH - 9)
}
# A table of n lines and m figures in each. flip: lines are files.
function show(n, line_name, m, column_name, wide, each, flip,   i, k) {
    printf "%-" wide "s", "median " unit
    for (k = 1; k <= m; k++)
        printf " %" each "s", column_name[k]
    print ""
    for (i = 1; i <= n; i++) {
        printf "%-" wide "s", line_name[i]
        for (k = 1; k <= m; k++)
            printf " %" each "s", flip ? median[column_name[k], i] : median[line_name[i], k]
        print ""
    }
    print ""
}
END {
    if (across != "")
        show(columns, head, split(across, of, " "), of, 40, 10, 1)
    else
        show(rows, names, columns, head, 16, 16, 0)
}
