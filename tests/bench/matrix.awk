# Medians of several JSON files' lines as one table: a row for each operation, a column for each file, whose options head it.
# -v across="NAME ...": the other way round, of these operations alone.
FNR == 1 {
    columns++
    match($0, /"options":"[^"]*"/)
    head[columns] = substr($0, RSTART + 11, RLENGTH - 12)
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
END {
    if (across != "") {
        n = split(across, name_of, " ")
        printf "%-40s", "median " unit
        for (k = 1; k <= n; k++)
            printf " %10s", name_of[k]
        print ""
        for (i = 1; i <= columns; i++) {
            printf "%-40s", head[i]
            for (k = 1; k <= n; k++)
                printf " %10s", median[name_of[k], i]
            print ""
        }
        print ""
        exit
    }
    printf "%-16s", "median " unit
    for (i = 1; i <= columns; i++)
        printf " %16s", head[i] == "" ? "default" : head[i]
    print ""
    for (k = 1; k <= rows; k++) {
        printf "%-16s", names[k]
        for (i = 1; i <= columns; i++)
            printf " %16s", median[names[k], i]
        print ""
    }
    print ""
}
