package doctor

import (
	"context"
	"fmt"

	"golang.org/x/sys/unix"
)

const (
	// baseFiles is what a daemon or zinit may have open whatever the number of
	// actors: streams of the bus, and its clients' and the zinit's connections.
	baseFiles = 256
	// actorFiles is what one actor costs the busiest of them: two pipes of output, a
	// pidfd, a log file, and its connections.
	actorFiles = 8
)

func lookFiles(_ context.Context, at scene, w *what) {
	var l unix.Rlimit
	if err := unix.Getrlimit(unix.RLIMIT_NOFILE, &l); err != nil {
		w.bad(err.Error(), "")
		return
	}
	actors := 0
	for _, p := range at.Config.Pools {
		actors += *p.Max
	}
	// The hard limit: a Go program raises its own to that.
	judgeFiles(w, l.Max, actors)
}

func judgeFiles(w *what, limit uint64, actors int) {
	need := uint64(baseFiles + actorFiles*actors)
	text := fmt.Sprintf("at most %d; %d actors may need %d", limit, actors, need)
	if limit < need {
		w.bad(text, fmt.Sprintf("ulimit -Hn %d, or LimitNOFILE in the unit", need))
		return
	}
	w.ok(text)
}
