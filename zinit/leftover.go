package zinit

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"os"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"time"

	"golang.org/x/sys/unix"

	"herosup/events"
)

// markVar names, in the environment of an actor's processes, the service that they are
// of, and the state folder: a copy of that has the same services, and is another's. A zinit
// that was killed and adopts nothing does not know the actor any more that it has started; its
// mark shows whose it is. Whatever is to live on beside the actors begins without one (Unmarked).
const markVar = "HEROSUP_SERVICE"

// graceVar says beside the mark how long a stop of that service waits before KILL.
const graceVar = "HEROSUP_STOP_TIMEOUT"

// marked is the value of the variable.
func marked(service, folder string) string { return service + markEnd(folder) }

func markEnd(folder string) string {
	sum := sha256.Sum256([]byte(folder))
	return "@" + hex.EncodeToString(sum[:6])
}

// Unmarked is an environment without the mark of an actor, in whose place it may have been inherited from one.
func Unmarked(env []string) []string {
	return slices.DeleteFunc(slices.Clone(env), func(v string) bool {
		return strings.HasPrefix(v, markVar+"=") || strings.HasPrefix(v, graceVar+"=")
	})
}

// The pace of ending what no zinit knows.
const (
	firstLeftoverLook = 5 * time.Millisecond
	maxLeftoverLook   = 100 * time.Millisecond
	// emptyLooks is how many looks in a row have to find nothing: in the middle of an
	// exec a process has no environment to be seen.
	emptyLooks = 3
)

// Leftover is a process that was ended.
type Leftover struct {
	Service string
	Process events.Incarnation
}

// EndLeftovers ends every process of ours that carries the mark of a service of this state folder of which ours is
// true: the stop signal, and KILL when that service's own grace is over (DefaultShutdownTimeout where it is not
// known). It is for when all those services are stopped, and so their zinit knows of no such process, or when that
// zinit is gone. Who calls it is spared, and whom it was started by.
func EndLeftovers(ctx context.Context, folder string, ours func(service string) bool) ([]Leftover, error) {
	return endLeftovers(ctx, DefaultShutdownTimeout, func(mark string, _ events.Incarnation) bool {
		service, here := strings.CutSuffix(mark, markEnd(folder))
		return here && ours(service)
	})
}

// isEarlier reports whether a process with the mark of a service is of an earlier life
// than its process now: nothing begins before its parent.
func isEarlier(life, now events.Incarnation) bool {
	return life.Boot == now.Boot && life.Start < now.Start
}

// endEarlier ends what is left of earlier lives of a service.
func endEarlier(ctx context.Context, mark string, now events.Incarnation, grace time.Duration) error {
	_, err := endLeftovers(ctx, grace, func(of string, life events.Incarnation) bool {
		return of == mark && isEarlier(life, now)
	})
	return err
}

// endLeftovers ends those of isOne. grace is that of those that carry none.
func endLeftovers(ctx context.Context, grace time.Duration, isOne func(mark string, life events.Incarnation) bool) ([]Leftover, error) {
	began, kills, empty := time.Now(), map[events.Incarnation]time.Time{}, 0
	var ended []Leftover
	for wait := firstLeftoverLook; ; wait = min(2*wait, maxLeftoverLook) {
		all, err := markedProcesses()
		if err != nil {
			return ended, fmt.Errorf("look for what no zinit knows: %w", err)
		}
		now := time.Now()
		var left, deaf []int
		for life, m := range all {
			if !isOne(m.mark, life) {
				continue
			}
			left = append(left, life.PID)
			kill, told := kills[life]
			switch {
			case !told:
				if kill = began.Add(grace); m.grace >= 0 {
					kill = began.Add(m.grace) // of all from the same moment: who forks for ever has no more time
				}
				kills[life] = kill
				service, _, _ := strings.Cut(m.mark, "@")
				ended = append(ended, Leftover{service, life})
				_ = signalLife(life, unix.SIGTERM)
				_ = signalLife(life, unix.SIGCONT)
			case now.After(kill.Add(buryPatience)):
				deaf = append(deaf, life.PID)
			}
			if now.After(kill) {
				_ = signalLife(life, unix.SIGKILL) // gone, or seen again by the next look
			}
		}
		if empty++; len(left) > 0 {
			empty = 0
		}
		switch {
		case empty == emptyLooks:
			return ended, nil
		case len(deaf) > 0:
			return ended, fmt.Errorf("processes %v survive KILL", deaf)
		}
		select {
		case <-ctx.Done():
			return ended, context.Cause(ctx)
		case <-time.After(wait):
		}
	}
}

// markedProcess is what a process carries: the mark, and the grace of its service, negative for none.
type markedProcess struct {
	mark  string
	grace time.Duration
}

// markedProcesses are those that live and whose environment may be read, with their
// marks; without this one and those that it was started by, which may have a mark from an actor that started them,
// and without those of another PID namespace: a container has folders of its own.
func markedProcesses() (map[events.Incarnation]markedProcess, error) {
	entries, err := os.ReadDir("/proc")
	if err != nil {
		return nil, err
	}
	here, err := os.Readlink("/proc/self/ns/pid")
	if err != nil {
		return nil, err
	}
	spared := lineage(os.Getpid())
	found := map[events.Incarnation]markedProcess{}
	for _, e := range entries {
		pid, err := strconv.Atoi(e.Name())
		if err != nil || spared[pid] {
			continue
		}
		life, err := events.IncarnationOf(pid)
		if err != nil {
			continue
		}
		dir, b, _ := EnvironOf(pid) // of one that may not be looked at there is nothing
		if !life.Alive() {          // the environment may have been that of the next with the number
			continue
		}
		if there, err := os.Readlink(dir + "/ns/pid"); err != nil || there != here {
			continue
		}
		if m, ok := carried(b); ok {
			found[life] = m
		}
	}
	return found, nil
}

// EnvironOf is what a process shows of its environment, and the folder of /proc that shows it: another thread's, if the
// first one has ended. It is empty in the middle of an exec and of an exit, and of a process that has none. The error is os.ErrPermission
// of one that may not be looked at.
func EnvironOf(pid int) (dir string, environ []byte, err error) {
	dir = "/proc/" + strconv.Itoa(pid)
	b, err := os.ReadFile(dir + "/environ")
	if errors.Is(err, os.ErrPermission) {
		return dir, nil, err
	}
	if len(b) > 0 {
		return dir, b, nil
	}
	threads, _ := os.ReadDir(dir + "/task")
	for _, t := range threads {
		of := dir + "/task/" + t.Name()
		if b, err := os.ReadFile(of + "/environ"); err == nil && len(b) > 0 {
			return of, b, nil
		}
	}
	return dir, nil, nil
}

// carried reads an environment. A time that no service can have is none.
func carried(environ []byte) (m markedProcess, ok bool) {
	m.grace = -1
	for entry := range bytes.SplitSeq(environ, []byte{0}) {
		if mark, is := bytes.CutPrefix(entry, []byte(markVar+"=")); is {
			m.mark, ok = string(mark), true
		}
		if text, is := bytes.CutPrefix(entry, []byte(graceVar+"=")); is {
			if d, err := time.ParseDuration(string(text)); err == nil && d >= 0 && d <= MaxShutdownTimeout {
				m.grace = d
			}
		}
	}
	return m, ok
}

// lineage is a process, its parent, and so on.
func lineage(pid int) map[int]bool {
	all := map[int]bool{}
	for pid > 0 && !all[pid] {
		all[pid] = true
		stat, err := os.ReadFile("/proc/" + strconv.Itoa(pid) + "/stat")
		if err != nil {
			break
		}
		rest := stat[bytes.LastIndexByte(stat, ')')+1:] // the name before it may hold anything
		if f := bytes.Fields(rest); len(f) > 1 {
			pid, _ = strconv.Atoi(string(f[1]))
		}
	}
	return all
}

// signalLife signals this very process, not another with its number.
func signalLife(life events.Incarnation, sig syscall.Signal) error {
	fd, err := unix.PidfdOpen(life.PID, 0)
	if err != nil {
		return err
	}
	defer func() { _ = unix.Close(fd) }()
	if !life.Alive() {
		return unix.ESRCH
	}
	if err := unix.PidfdSendSignal(fd, sig, nil, 0); !errors.Is(err, unix.ENOSYS) {
		return err
	}
	return syscall.Kill(life.PID, sig)
}
