# From the samples that guests print to figures: a table for people, or JSON lines.
#
# In: files whose first line is META (words name=value, blanks in values as ~), then whatever the guest printed; BENCH lines are taken:
#     BENCH name=out n=100000 bytes=1 samples=245:99999 1033:1       differences of the TSC, and how often each was seen
# -v mode=table|json|samples; -v peers=file (mode table: columns beside); samples: "VALUE COUNT" of -v only=NAME, for a histogram.
# A figure is the sample less the median of the base that its operation has: the two stamps, and for rates the loop around.

BEGIN {
    base["call"] = base["yield"] = base["switch_twice"] = base["ring3_tick"] = base["ring3_off"] = "stamps"
    base["timer_spin"] = base["timer_hlt"] = "" # differences of two waits: the stamps have dropped out
    base["linux_out"] = "linux_empty"; base["linux_loop"] = "linux_loop_empty"; base["shell_port"] = "shell_null"
    hidden["empty"] = hidden["stamps"] = hidden["linux_empty"] = hidden["linux_loop_empty"] = 1; base["shell_null"] = ""
    while (peers != "" && (getline line < peers) > 0)
        if (line !~ /^#/) {
            split(line, w, " ")
            peer[w[1], w[2]] = line
        }
}

function word(name,    i, w, n) { # of the META line
    n = split(meta, w, " ")
    for (i = 1; i <= n; i++)
        if (index(w[i], name "=") == 1) {
            line = substr(w[i], length(name) + 2)
            gsub(/~/, " ", line)
            return line
        }
    return ""
}

FNR == 1 {
    delete median
    meta = $0
    vendor = word("vendor")
    delete event
    events = word("options")
    gsub(/[= ]/, "-", events)
    events = dir "/" vendor ".events" (events == "" ? "" : "-") events
    while (word("system") == "Rung" && (getline line < events) > 0) {
        split(line, w, " ")
        event[w[1]] = event[w[1]] (event[w[1]] == "" ? "" : ",") "\"" w[2] "\":" w[3]
    }
    close(events)
    if (mode == "table")
        header()
}

function header() {
    printf "%s %s: %s per operation, less the empty loop; %s; %s\n", word("system"), vendor, word("unit"), word("cpu"), \
        word("options") == "" ? "default options" : word("options")
    printf "%-16s %7s %7s %7s %7s %9s %7s %7s %7s %9s | %7s %7s %6s\n", "operation", "n", "min", "q1", "median", "mean", "q3", "max", "sd", "per byte", "KVM", "Xen", "goal"
}

# Distinct values in order, in v[1..]; a shell sort, since awk has none.
function sort_values(count,    k, n, gap, i, j, t) {
    n = 0
    for (k in count)
        v[++n] = k + 0
    for (gap = int(n / 2); gap > 0; gap = int(gap / 2))
        for (i = gap + 1; i <= n; i++) {
            t = v[i]
            for (j = i; j > gap && v[j - gap] > t; j -= gap)
                v[j] = v[j - gap]
            v[j] = t
        }
    return n
}

function at(rank, n,    i, seen) { # the value of that rank, from 0
    seen = 0
    for (i = 1; i <= n; i++)
        if ((seen += count[v[i]]) > rank)
            return v[i]
    return v[n]
}

function number(x) { return x == int(x) ? sprintf("%d", x) : sprintf("%.2f", x) }

/BENCH name=/ {
    sub(/\r$/, "")
    sub(/.*BENCH /, "")
    samples = $0
    sub(/.*samples=/, "", samples)
    name = $1; sub(/name=/, "", name)
    for (i = 1; i <= NF; i++)
        if ($i ~ /^bytes=/)
            bytes = substr($i, 7) + 0
    delete count
    delete v
    fields = split(samples, pair, " ")
    total = 0
    for (i = 1; i <= fields; i++) {
        split(pair[i], vc, ":")
        x = vc[1] + 0
        if (x >= 2147483648) # the guests keep 32 bits
            x -= 4294967296
        count[x] += vc[2]
        total += vc[2]
    }
    if (!total)
        next
    n = sort_values(count)
    median[name] = at(int(total / 2), n)
    if (name in hidden)
        next
    off = name in base ? (base[name] == "" ? 0 : median[base[name]]) : median["empty"]
    off += 0
    sum = square = 0
    for (i = 1; i <= n; i++)
        sum += v[i] * count[v[i]]
    mean = sum / total
    for (i = 1; i <= n; i++)
        square += (v[i] - mean) * (v[i] - mean) * count[v[i]]
    sd = sqrt(square / total)
    if (mode == "samples") {
        for (i = 1; i <= n && name == only; i++)
            print v[i] - off, count[v[i]]
    } else if (mode == "json") {
        printf "{\"name\":\"%s\",\"system\":\"%s\",\"vendor\":\"%s\",\"options\":\"%s\",\"unit\":\"%s\"", name, word("system"), vendor, word("options"), word("unit")
        printf ",\"min\":%s,\"q1\":%s,\"median\":%s,\"mean\":%.2f,\"q3\":%s,\"max\":%s,\"sd\":%.2f,\"n\":%d", v[1] - off, at(int(total / 4), n) - off, \
            median[name] - off, mean - off, at(int(total * 3 / 4), n) - off, v[n] - off, sd, total
        printf ",\"bytes\":%d,\"base\":%d,\"events\":{%s},\"commit\":\"%s\",\"cpu\":\"%s\"}\n", bytes, off, event[name], word("commit"), word("cpu")
    } else {
        split(word("system") == "Rung" ? peer[name, vendor] : "", w, " ")
        printf "%-16s %7d %7d %7d %7d %9.1f %7d %7d %7.1f %9s | %7s %7s %6s\n", name, total, v[1] - off, at(int(total / 4), n) - off, median[name] - off, mean - off, \
            at(int(total * 3 / 4), n) - off, v[n] - off, sd, (bytes >= 16 ? sprintf("%.1f", (median[name] - off) / bytes) : ""), w[3], w[4], w[5]
        delete w
    }
}

END {
    if (mode == "table")
        print ""
}
