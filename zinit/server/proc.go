package server

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"os"
	"slices"
	"strconv"
	"syscall"

	"golang.org/x/sys/unix"

	"herosup/zinit"
)

// proc is one process as /proc shows it.
type proc struct {
	pid, parent, group int
	state              byte   // of its first thread
	threads            uint64 // that have not let go of all they had
	start              uint64 // ticks since boot
	ticks              uint64 // CPU time used, user and system
	pages              uint64 // resident set
	kernel             bool   // a thread of the kernel
	test               bool   // of a run of a test; only records.marked knows
}

// id is what no other process has, in this boot.
type id struct {
	pid   int
	start uint64
}

func (p proc) id() id { return id{p.pid, p.start} }

// live reports whether it still runs anything: its first thread may have ended, and another go on, or be about to end.
func (p proc) live() bool { return p.state != 'X' && (p.state != 'Z' || p.threads > 1) }

// readProc reads /proc/<pid>/stat. The command name in it may hold spaces and
// parentheses, so fields are counted from its last ')'.
func readProc(pid int) (proc, error) {
	b, err := os.ReadFile("/proc/" + strconv.Itoa(pid) + "/stat")
	if err != nil {
		return proc{}, err
	}
	f := bytes.Fields(b[bytes.LastIndexByte(b, ')')+1:])
	const rss = 24 // number of the last field wanted, in proc(5); f[0] is the third
	if len(f) <= rss-3 {
		return proc{}, fmt.Errorf("read stat of pid %d: only %d fields", pid, len(f))
	}
	num := func(field int) uint64 {
		n, _ := strconv.ParseUint(string(f[field-3]), 10, 64) // the kernel wrote it
		return n
	}
	const kernelThread = 0x00200000 // PF_KTHREAD
	return proc{
		kernel: num(9)&kernelThread != 0,
		pid:    pid, parent: int(num(4)), group: int(num(5)), state: f[0][0], threads: num(20),
		start: num(22), ticks: num(14) + num(15), pages: num(24),
	}, nil
}

// zombieStatus is how a process ended that its parent has not reaped yet, in the
// form of wait(2): field 52 of stat. To whom the kernel does not show it, it
// shows 0, so a 0 is believed of our own user's processes alone.
func zombieStatus(pid int) (unix.WaitStatus, bool) {
	dir := "/proc/" + strconv.Itoa(pid)
	b, err := os.ReadFile(dir + "/stat")
	if err != nil {
		return 0, false
	}
	f := bytes.Fields(b[bytes.LastIndexByte(b, ')')+1:])
	const exitCode = 52 - 3
	if len(f) <= exitCode || f[0][0] != 'Z' {
		return 0, false
	}
	status, err := strconv.ParseUint(string(f[exitCode]), 10, 32)
	if err == nil && status == 0 {
		var st unix.Stat_t
		err = unix.Stat(dir, &st)
		return 0, err == nil && int(st.Uid) == os.Geteuid()
	}
	return unix.WaitStatus(status), err == nil
}

// maxRelist bounds how often a look begins again because processes have come
// meanwhile.
const maxRelist = 10

// allProcs reads every process that can be seen, but for the kernel's own. One
// that ends meanwhile is left out; those that it started are not: the list is
// read again until it holds nobody new, so a chain of processes that each start
// the next and end can not slip through between listing and reading.
func allProcs() ([]proc, error) {
	d, err := os.Open("/proc")
	if err != nil {
		return nil, err
	}
	defer func() { _ = d.Close() }()
	var all []proc
	seen := make(map[string]bool)
	for range maxRelist {
		if _, err := d.Seek(0, io.SeekStart); err != nil {
			return nil, err
		}
		names, err := d.Readdirnames(-1)
		if err != nil {
			return nil, err
		}
		fresh := false
		for _, name := range names {
			pid, err := strconv.Atoi(name)
			if err != nil || seen[name] {
				continue
			}
			seen[name], fresh = true, true
			if p, err := readProc(pid); err == nil && !p.kernel {
				all = append(all, p)
			}
		}
		if !fresh {
			break
		}
	}
	return all, nil
}

// unparented are those of all whose parent is not among them: it ended while
// they were read.
func unparented(all []proc) []proc {
	known := make(map[int]bool)
	for _, p := range all {
		known[p.pid] = true
	}
	var found []proc
	for _, p := range all {
		if p.parent != 0 && !known[p.parent] {
			found = append(found, p)
		}
	}
	return found
}

// descendants are those of all whose line of parents leads to root.
func descendants(all []proc, root int) []proc {
	children := make(map[int][]proc)
	for _, p := range all {
		children[p.parent] = append(children[p.parent], p)
	}
	found := slices.Clone(children[root])
	for i := 0; i < len(found); i++ { // found grows; a process has one parent, so it ends
		found = append(found, children[found[i].pid]...)
	}
	return found
}

// envValue is a setting that the process was started with, "" for none. Of one
// that may not be read, or has rewritten its environment, there is none. sure is
// false when nothing at all could be seen: in the middle of an exec and of an
// exit a process has no environment for a moment (some never have any), and one
// that is gone may have started another before.
func envValue(pid int, name string) (value string, sure bool) {
	_, b, err := zinit.EnvironOf(pid)
	if err != nil {
		return "", true
	}
	for entry := range bytes.SplitSeq(b, []byte{0}) {
		if value, ok := bytes.CutPrefix(entry, []byte(name+"=")); ok {
			return string(value), true
		}
	}
	return "", len(b) > 0
}

// inBetween reports whether a process shows no arguments: it is in the middle of an exec or of its end.
func inBetween(pid int) bool {
	b, err := os.ReadFile("/proc/" + strconv.Itoa(pid) + "/cmdline")
	return err == nil && len(b) == 0
}

// ownChildren are the PIDs of our direct children, orphans that came to us as
// subreaper among them. ok is false where the kernel does not list children.
func ownChildren() (pids []int, ok bool) {
	tasks, err := os.ReadDir("/proc/self/task")
	if err != nil {
		return nil, false
	}
	for _, t := range tasks {
		b, err := os.ReadFile("/proc/self/task/" + t.Name() + "/children")
		if errors.Is(err, os.ErrNotExist) {
			if _, gone := os.Stat("/proc/self/task/" + t.Name()); gone != nil {
				continue // the thread ended; its children went to another
			}
			return nil, false
		}
		for f := range bytes.FieldsSeq(b) {
			if pid, err := strconv.Atoi(string(f)); err == nil {
				pids = append(pids, pid)
			}
		}
	}
	return pids, true
}

// signalProc signals exactly the process p was: a PID that has become another
// process's in the meantime is left alone.
func signalProc(p proc, sig syscall.Signal) error {
	fd, err := unix.PidfdOpen(p.pid, 0)
	if err != nil {
		return err
	}
	defer func() { _ = unix.Close(fd) }()
	// The handle is open, so the PID can not change hands any more: if the start
	// time still fits, the handle is that of p.
	if now, err := readProc(p.pid); err != nil || now.start != p.start {
		return syscall.ESRCH
	}
	return unix.PidfdSendSignal(fd, sig, nil, 0)
}
