package server

import (
	"context"
	"os"
	"syscall"
	"time"
)

// The pace of looking whether processes are gone, and how long KILL may take
// until we believe in processes that it can not end (in a system call that
// does not return).
const (
	firstLook    = time.Millisecond
	maxLook      = 50 * time.Millisecond
	killPatience = 2 * time.Second
)

// maxUnsure is how many looks may say "cannot tell" before that is taken for
// no: a process without any environment is not ours, and one in the middle of an
// exec has got through it by then.
const maxUnsure = 5

// found is what a look has shown.
type found struct {
	left []proc
	// unsure says that there may be more.
	unsure bool
}

// remains finds what is left of a service after its main process: our
// descendants that are in its group or carry its mark ("" for none). Zombies do
// not count, they run nothing.
//
// A group whose leader's number lives belongs to that process, which is not
// ours: the number has been given again.
type remains struct {
	group int // 0: none
	mark  string
	// everywhere looks at all processes: those that an earlier server started are
	// not our descendants. One in the group with somebody else's mark is not ours.
	everywhere bool
	// known are those that were found before: at the end of its life a process
	// has lost its mark before it is gone.
	known map[id]bool
}

func newRemains(group int, mark string, everywhere bool) *remains {
	return &remains{group: group, mark: mark, everywhere: everywhere, known: make(map[id]bool)}
}

func (r *remains) find() (found, error) {
	all, err := allProcs()
	if err != nil {
		return found{}, err
	}
	strangers := r.everywhere // they may be: their group's number alone says nothing
	if !r.everywhere {
		ours, lost := descendants(all, os.Getpid()), unparented(all)
		strangers = len(lost) > 0
		all = append(ours, lost...)
	}
	renewed := r.group == 0
	for _, p := range all {
		renewed = renewed || p.pid == r.group && p.live()
	}
	var f found
	for _, p := range all {
		if !p.live() || p.pid == os.Getpid() {
			continue
		}
		ours, sure := r.known[p.id()], true
		inGroup := p.group == r.group && !renewed
		switch {
		case ours:
		case inGroup && !strangers:
			ours = true
		case r.mark != "":
			var mark string
			mark, sure = envValue(p.pid, markName)
			ours = belongs(mark, r.mark) || inGroup && mark == ""
		}
		f.unsure = f.unsure || !sure
		if ours {
			r.known[p.id()] = true
			f.left = append(f.left, p)
		}
	}
	return f, nil
}

// offspring finds everything that we are the ancestor of, but for the keeper,
// and what carries a mark of ours: an earlier server may have been its ancestor.
func (l *loop) offspring() (found, error) {
	all, err := allProcs()
	if err != nil {
		return found{}, err
	}
	marked, err := l.records.marked(0)
	if err != nil {
		return found{}, err
	}
	var f found
	seen := make(map[int]bool)
	add := func(procs []proc) {
		for _, p := range procs {
			if p.live() && !seen[p.pid] && !l.keeper.is(p.pid) {
				seen[p.pid] = true
				f.left = append(f.left, p)
			}
		}
	}
	add(descendants(all, os.Getpid()))
	for _, procs := range marked {
		add(procs)
	}
	return f, nil
}

// ending is how to end what is left.
type ending struct {
	// polite is sent once to each process first, with CONT behind it; 0 is none.
	polite syscall.Signal
	// told is a process group that had its polite signal already: for many
	// programs a second one means to drop everything.
	told int
	// killAt is when KILL begins.
	killAt time.Time
	// closes is closed when everything is to end; from then on it is not more than closing until KILL. Nil: never.
	closes  <-chan struct{}
	closing time.Duration
}

// run ends what find finds, and returns what it could not end within
// killPatience of KILL, or before ctx ended. As long as nobody can say whether
// something is left, something may be.
func (e ending) run(ctx context.Context, find func() (found, error)) []proc {
	asked := make(map[id]bool)
	begun := time.Now()
	look := time.NewTimer(0)
	defer look.Stop()
	unsure := 0
	for pause := firstLook; ; pause = min(2*pause, maxLook) {
		f, err := find()
		left, now := f.left, time.Now()
		if f.unsure {
			unsure++
		}
		none := len(left) == 0 && err == nil && (!f.unsure || unsure > maxUnsure)
		if none || now.After(latest(begun, e.killAt).Add(killPatience)) {
			return left
		}
		for _, p := range left {
			switch {
			case !now.Before(e.killAt):
				_ = signalProc(p, syscall.SIGKILL) // gone, or seen again on the next look
			case e.polite != 0 && p.group != e.told && !asked[p.id()]:
				asked[p.id()] = true
				_ = signalProc(p, e.polite)
				_ = signalProc(p, syscall.SIGCONT)
			}
		}
		look.Reset(pause)
		select {
		case <-look.C:
		case <-e.closes:
			e.closes = nil
			if by := time.Now().Add(e.closing); by.Before(e.killAt) {
				e.killAt = by
			}
		case <-ctx.Done():
			return left
		}
	}
}

func latest(a, b time.Time) time.Time {
	if a.After(b) {
		return a
	}
	return b
}
