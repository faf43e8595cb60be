package zinit

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"strconv"
	"strings"
	"syscall"
	"time"

	"golang.org/x/sys/unix"

	"herosup/events"
)

// markVar names, in the environment of an actor's processes, the service that they are
// of. A zinit that was killed and adopts nothing does not know the actor any more that it
// has started; its mark, which no other state folder's actors have, shows whose it is.
const markVar = "HEROSUP_SERVICE"

// The pace of ending what no zinit knows.
const (
	firstLeftoverLook = 5 * time.Millisecond
	maxLeftoverLook   = 100 * time.Millisecond
	// emptyLooks is how many looks in a row have to find nothing: in the middle of an
	// exec a process has no environment to be seen.
	emptyLooks = 3
)

// EndLeftovers ends every process of ours that carries the mark of a service whose name
// begins with prefix: the stop signal, and KILL when grace is over. It is for when all
// those services are stopped, and so their zinit knows of no such process.
func EndLeftovers(ctx context.Context, prefix string, grace time.Duration) error {
	return endLeftovers(ctx, grace, func(service string, _ events.Incarnation) bool {
		return strings.HasPrefix(service, prefix)
	})
}

// isEarlier reports whether a process with the mark of a service is of an earlier life
// than its process now: nothing begins before its parent.
func isEarlier(life, now events.Incarnation) bool {
	return life.Boot == now.Boot && life.Start < now.Start
}

// endEarlier ends what is left of earlier lives of a service.
func endEarlier(ctx context.Context, service string, now events.Incarnation, grace time.Duration) error {
	return endLeftovers(ctx, grace, func(of string, life events.Incarnation) bool {
		return of == service && isEarlier(life, now)
	})
}

func endLeftovers(ctx context.Context, grace time.Duration, isOne func(service string, life events.Incarnation) bool) error {
	kill, told, empty := time.Now().Add(grace), map[events.Incarnation]bool{}, 0
	for wait := firstLeftoverLook; ; wait = min(2*wait, maxLeftoverLook) {
		marked, err := markedProcesses()
		if err != nil {
			return fmt.Errorf("look for what no zinit knows: %w", err)
		}
		var left []int
		for life, service := range marked {
			if !isOne(service, life) {
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
// marks; without this one, which may have been started by an actor.
func markedProcesses() (map[events.Incarnation]string, error) {
	entries, err := os.ReadDir("/proc")
	if err != nil {
		return nil, err
	}
	found := map[events.Incarnation]string{}
	for _, e := range entries {
		pid, err := strconv.Atoi(e.Name())
		if err != nil || pid == os.Getpid() {
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
			if service, ok := bytes.CutPrefix(entry, []byte(markVar+"=")); ok {
				found[life] = string(service)
			}
		}
	}
	return found, nil
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
