package zinit

// Marked is for tests that make processes with a mark.
var Marked = marked

// MarkedPIDs are the processes that carry a mark.
func MarkedPIDs(mark string) (pids []int, err error) {
	all, err := markedProcesses()
	for life, m := range all {
		if m.mark == mark {
			pids = append(pids, life.PID)
		}
	}
	return pids, err
}

// Turns is turns, for its own test.
var Turns = turns
