package dispatch

import (
	"context"

	"golang.org/x/sync/semaphore"
)

// maxAhead bounds how many facts are read and not told, so that memory is bounded: some 10 MB. At it, or at maxChapters, the
// reader waits for the teller, and what ends meanwhile runs again if Redis is emptied then. More would be no use: endings
// remembers half as many ends.
const (
	maxAhead    = 2 * maxEndings
	maxChapters = 4096
)

// ahead is what the reader has read and the teller has not told. The reader is not to wait for the teller, which waits up to a
// second for the intake: an end that is not read is forgotten with Redis, and its job runs again.
type ahead struct {
	chapters chan chapter
	room     *semaphore.Weighted // in facts
}

func newAhead() *ahead {
	return &ahead{chapters: make(chan chapter, maxChapters), room: semaphore.NewWeighted(maxAhead)}
}

// weight is how much room a chapter takes; one that alone is over the bound takes it all.
func (ch chapter) weight() int64 {
	return min(int64(len(ch.facts)), maxAhead)
}

// add waits for room; false: the context is done.
func (a *ahead) add(ctx context.Context, ch chapter) bool {
	if a.room.Acquire(ctx, ch.weight()) != nil {
		return false
	}
	select {
	case a.chapters <- ch:
		return true
	case <-ctx.Done():
		return false
	}
}

// taken makes room: the teller has it.
func (a *ahead) taken(ch chapter) {
	a.room.Release(ch.weight())
}
