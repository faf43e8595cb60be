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

// marked is the value of the variable.
func marked(service, folder string) string { return service + markEnd(folder) }

func markEnd(folder string) string {
	sum := sha256.Sum256([]byte(folder))
	return "@" + hex.EncodeToString(sum[:6])
}

// Unmarked is an environment without the mark of an actor, in whose place it may have been inherited from one.
func Unmarked(env []string) []string {
	return slices.DeleteFunc(slices.Clone(env), func(v string) bool { return strings.HasPrefix(v, markVar+"=") })
}

// The pace of ending what no zinit knows.
const (
	firstLeftoverLook = 5 * time.Millisecond
	maxLeftoverLook   = 100 * time.Millisecond
	// emptyLooks is how many looks in a row have to find nothing: in the middle of an
	// exec a process has no environment to be seen.
	emptyLooks = 3
)

// EndLeftovers ends every process of ours that carries the mark of a service of this state folder whose name
// begins with prefix: the stop signal, and KILL when grace is over. It is for when all
// those services are stopped, and so their zinit knows of no such process. Who calls it is spared, and whom it was
// started by.
func EndLeftovers(ctx context.Context, prefix, folder string, grace time.Duration) error {
	return endLeftovers(ctx, grace, func(mark string, _ events.Incarnation) bool {
		return strings.HasPrefix(mark, prefix) && strings.HasSuffix(mark, markEnd(folder))
	})
}

// isEarlier reports whether a process with the mark of a service is of an earlier life
// than its process now: nothing begins before its parent.
func isEarlier(life, now events.Incarnation) bool {
	return life.Boot == now.Boot && life.Start < now.Start
}

// endEarlier ends what is left of earlier lives of a service.
func endEarlier(ctx context.Context, mark string, now events.Incarnation, grace time.Duration) error {
	return endLeftovers(ctx, grace, func(of string, life events.Incarnation) bool {
		return of == mark && isEarlier(life, now)
	})
}

func endLeftovers(ctx context.Context, grace time.Duration, isOne func(mark string, life events.Incarnation) bool) error {
	kill, told, empty := time.Now().Add(grace), map[events.Incarnation]bool{}, 0
	for wait := firstLeftoverLook; ; wait = min(2*wait, maxLeftoverLook) {
		all, err := markedProcesses()
		if err != nil {
			return fmt.Errorf("look for what no zinit knows: %w", err)
		}
		var left []int
		for life, mark := range all {
			if !isOne(mark, life) {
				continue
			}
			left = append(left, life.PID)
			switch {
			case time.Now().After(kill):
				_ = signalLife(life, unix.SIGKILL) // gone, or seen again by the next look
			case !told[life]:
				told[life] = true
				_ = signalLife(life, unix.SIGTERM)
				_ = signalLife(life, unix.SIGCONT)
			}
		}
		if empty++; len(left) > 0 {
			empty = 0
		}
		switch {
		case empty == emptyLooks:
			return nil
		case time.Now().After(kill.Add(buryPatience)):
			return fmt.Errorf("processes %v survive KILL", left)
		}
		select {
		case <-ctx.Done():
			return context.Cause(ctx)
		case <-time.After(wait):
		}
	}
}

// markedProcesses are those that live and whose environment may be read, with their
// marks; without this one and those that it was started by, which may have a mark from an actor that started them,
// and without those of another PID namespace: a container has folders of its own.
func markedProcesses() (map[events.Incarnation]string, error) {
	entries, err := os.ReadDir("/proc")
	if err != nil {
		return nil, err
	}
	here, err := os.Readlink("/proc/self/ns/pid")
	if err != nil {
		return nil, err
	}
	spared := lineage(os.Getpid())
	found := map[events.Incarnation]string{}
	for _, e := range entries {
		pid, err := strconv.Atoi(e.Name())
		if err != nil || spared[pid] {
			continue
		}
		life, err := events.IncarnationOf(pid)
		if err != nil {
			continue
		}
		b, err := os.ReadFile("/proc/" + e.Name() + "/environ")
		if err != nil || !life.Alive() { // the environment may have been that of the next with the number
			continue
		}
		for entry := range bytes.SplitSeq(b, []byte{0}) {
			mark, ok := bytes.CutPrefix(entry, []byte(markVar+"="))
			if there, err := os.Readlink("/proc/" + e.Name() + "/ns/pid"); ok && err == nil && there == here {
				found[life] = string(mark)
			}
		}
	}
	return found, nil
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
