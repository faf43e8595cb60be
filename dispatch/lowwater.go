package dispatch

import "slices"

// deletions are the ways to take a page of ended jobs out of the log.
type deletions struct {
	// below: everything below this sequence goes in one purge; 0: no purge.
	below uint64
	// singles go one by one: something in front of them has not ended.
	singles []uint64
}

// minPurge is the shortest run that is worth a purge, which costs about as much as
// a few deletes.
const minPurge = 8

// planDeletions decides what to do about ended, the sequences of a page, when first
// is the lowest sequence that the log still has. The run of sequences from first on
// that have all ended, or that we deleted before (gone), may be purged: a sequence
// that is in neither could be a job that has not ended, so the run stops there.
// Nothing that is not in ended is ever deleted.
func planDeletions(first uint64, ended []uint64, gone map[uint64]struct{}) deletions {
	is := make(map[uint64]bool, len(ended))
	for _, seq := range ended {
		if seq >= first { // lower ones are gone
			is[seq] = true
		}
	}
	run, end := 0, first
	for {
		_, deleted := gone[end]
		if !is[end] && !deleted {
			break
		}
		if is[end] {
			run++
		}
		end++
	}
	var d deletions
	if run >= minPurge {
		d.below = end
	}
	for seq := range is {
		if seq >= d.below {
			d.singles = append(d.singles, seq)
		}
	}
	slices.Sort(d.singles)
	return d
}
