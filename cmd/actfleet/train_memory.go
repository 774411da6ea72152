package main

import (
	"bufio"
	"os"
	"strconv"
	"strings"
)

// freeMemory is what this process may still take, in bytes, of the machine and of its control group; 0 where neither
// tells.
func freeMemory() float64 {
	free := fileNumber("/proc/meminfo", "MemAvailable:") * 1024
	const group = "/sys/fs/cgroup/memory."
	if limit := fileNumber(group+"max", ""); limit > 0 {
		used := fileNumber(group+"current", "") - fileNumber(group+"stat", "inactive_file ") // cached files give way
		if left := max(1, limit-used); free == 0 || left < free {
			free = left
		}
	}
	return free
}

// fileNumber is the number after a word at the beginning of a line of a file; 0 when there is none.
func fileNumber(path, word string) float64 {
	f, err := os.Open(path)
	if err != nil {
		return 0
	}
	defer f.Close() // read only
	for s := bufio.NewScanner(f); s.Scan(); {
		if rest, ok := strings.CutPrefix(s.Text(), word); ok && strings.TrimSpace(rest) != "" {
			n, _ := strconv.ParseFloat(strings.Fields(rest)[0], 64)
			return n
		}
	}
	return 0
}
