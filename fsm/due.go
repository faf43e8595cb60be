package fsm

import (
	"container/heap"
	"time"
)

// slot is one actor's place in the keeper.
type slot struct {
	actor Actor
	at    int // place in the queue of deadlines, -1 when it has none
}

// deadlines is a queue of the slots that have a deadline, the next one first.
// One entry per actor, moved when its deadline moves.
type deadlines []*slot

func (d deadlines) Len() int           { return len(d) }
func (d deadlines) Less(i, j int) bool { return d[i].actor.Due.Before(d[j].actor.Due) }
func (d deadlines) Swap(i, j int) {
	d[i], d[j] = d[j], d[i]
	d[i].at, d[j].at = i, j
}

// Push and Pop are for container/heap alone.
func (d *deadlines) Push(x any) {
	s := x.(*slot) //nolint:forcetypeassert // only settle below pushes
	s.at = len(*d)
	*d = append(*d, s)
}

func (d *deadlines) Pop() any {
	last := len(*d) - 1
	s := (*d)[last]
	(*d)[last] = nil
	*d = (*d)[:last]
	s.at = -1
	return s
}

// settle puts s where its deadline belongs.
func (d *deadlines) settle(s *slot) {
	switch has := !s.actor.Due.IsZero(); {
	case has && s.at < 0:
		heap.Push(d, s)
	case has:
		heap.Fix(d, s.at)
	case s.at >= 0:
		heap.Remove(d, s.at)
	}
}

// next is the earliest deadline; zero when there is none.
func (d deadlines) next() time.Time {
	if len(d) == 0 {
		return time.Time{}
	}
	return d[0].actor.Due
}
