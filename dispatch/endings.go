package dispatch

import (
	"sync"

	"herosup/dispatch/store"
)

// maxEndings bounds what is remembered of ended jobs whose messages are still in the log; of more, the oldest run
// again if Redis loses them.
const maxEndings = 10_000

// endings remembers jobs that are known to have ended while the log still has them: should Redis forget that, they are
// not run again. What they put out is lost then, unless somebody waited for it.
type endings struct {
	mu    sync.Mutex
	seqs  map[uint64]bool // true: its fact was read, so it is told or will be
	order []uint64        // by the time of the end
}

// note takes in what the facts say. Dead jobs are not among them: their records come back from the log or their bucket.
func (e *endings) note(facts []store.Fact) {
	e.mu.Lock()
	defer e.mu.Unlock()
	for _, f := range facts {
		if f.Kind == store.FactEnded || f.Kind == store.FactCancelled {
			e.add(f.Sequence, true)
		}
	}
}

// answered takes in a cancel whose fact may not have been read: Redis may be emptied before it is, and the job would come
// back from the log.
func (e *endings) answered(seq uint64) {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.add(seq, false)
}

func (e *endings) add(seq uint64, read bool) {
	if seq == 0 {
		return
	}
	if e.seqs == nil {
		e.seqs = map[uint64]bool{}
	}
	was, known := e.seqs[seq]
	e.seqs[seq] = was || read
	if known {
		return
	}
	e.order = append(e.order, seq)
	if len(e.order) > maxEndings {
		delete(e.seqs, e.order[0])
		e.order = e.order[1:]
	}
}

// has reports whether the job of a message has ended.
func (e *endings) has(seq uint64) bool {
	e.mu.Lock()
	defer e.mu.Unlock()
	_, ok := e.seqs[seq]
	return ok
}

// read reports whether the fact of a job's end was read.
func (e *endings) read(seq uint64) bool {
	e.mu.Lock()
	defer e.mu.Unlock()
	return e.seqs[seq]
}

// gone forgets those whose messages are deleted.
func (e *endings) gone(seqs []uint64) {
	e.mu.Lock()
	defer e.mu.Unlock()
	for _, seq := range seqs {
		delete(e.seqs, seq)
	}
	left := e.order[:0]
	for _, seq := range e.order {
		if _, ok := e.seqs[seq]; ok {
			left = append(left, seq)
		}
	}
	e.order = left
}
