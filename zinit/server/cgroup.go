package server

import (
	"bufio"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"

	"herosup/zinit"

	"golang.org/x/sys/unix"
)

// cgroups makes control groups (cgroup v2) for services that name a bound of
// memory or processors. For concurrent use.
//
// Where the server's own group is delegated to it (as root, or by systemd's
// Delegate=yes), the tree is
//
//	<ours>/zinit-server               the server itself: a group that has others
//	                                  below it may hold no process
//	<ours>/zinit-<instance>/<service>
type cgroups struct {
	instance string

	once sync.Once
	root string // <ours>/zinit-<instance>
	err  error  // why there is none
}

// controllers that a service's bounds need.
const controllers = "+cpu +memory"

// place makes the group of a service and opens it for a process to begin in.
// nil without an error: the service asks for none.
func (c *cgroups) place(service string, e zinit.Extension) (*os.File, error) {
	if e.Memory == 0 && e.CPU == 0 {
		return nil, nil
	}
	c.once.Do(func() { c.root, c.err = c.prepare() })
	if c.err != nil {
		return nil, c.err
	}
	dir := filepath.Join(c.root, service)
	if err := os.Mkdir(dir, 0o755); err != nil && !errors.Is(err, os.ErrExist) {
		return nil, fmt.Errorf("cgroup: %w", err)
	}
	for _, w := range settings(e) {
		if err := os.WriteFile(filepath.Join(dir, w.file), []byte(w.text), 0); err != nil {
			return nil, fmt.Errorf("cgroup: %w", err)
		}
	}
	f, err := os.OpenFile(dir, unix.O_PATH|unix.O_DIRECTORY, 0)
	if err != nil {
		return nil, fmt.Errorf("cgroup: %w", err)
	}
	return f, nil
}

type setting struct{ file, text string }

// settings are the bounds as the kernel takes them. What goes over memory takes
// the whole service with it, not one process of it.
func settings(e zinit.Extension) []setting {
	const period = 100_000 // us; the kernel's default
	memory, cpu := "max", "max"
	if e.Memory != 0 {
		memory = strconv.FormatUint(e.Memory, 10)
	}
	if e.CPU != 0 {
		cpu = strconv.Itoa(max(1000, int(e.CPU*period))) // the kernel's least
	}
	return []setting{
		{"memory.max", memory},
		{"memory.oom.group", "1"},
		{"cpu.max", cpu + " " + strconv.Itoa(period)},
	}
}

// remove takes the group of a service away once nothing is in it.
func (c *cgroups) remove(service string) {
	if c.root != "" {
		_ = os.Remove(filepath.Join(c.root, service)) // rmdir: fails while it is in use
	}
}

// removeAll is for the end.
func (c *cgroups) removeAll() {
	if c.root == "" {
		return
	}
	entries, _ := os.ReadDir(c.root)
	for _, e := range entries {
		if e.IsDir() {
			_ = os.Remove(filepath.Join(c.root, e.Name()))
		}
	}
	_ = os.Remove(c.root)
}

// prepare has the kernel hand the controllers down to groups below ours.
func (c *cgroups) prepare() (root string, err error) {
	own, err := controlled("self")
	if err != nil {
		return "", err
	}
	root = filepath.Join(own, "zinit-"+c.instance)
	if err := os.Mkdir(root, 0o755); err != nil && !errors.Is(err, os.ErrExist) {
		return "", fmt.Errorf("cgroup: %w", err)
	}
	if err := handDown(own); errors.Is(err, unix.EBUSY) {
		leaf := filepath.Join(own, "zinit-server")
		if err := os.Mkdir(leaf, 0o755); err != nil && !errors.Is(err, os.ErrExist) {
			return "", fmt.Errorf("cgroup: %w", err)
		}
		if err := os.WriteFile(filepath.Join(leaf, "cgroup.procs"), []byte(strconv.Itoa(os.Getpid())), 0); err != nil {
			return "", fmt.Errorf("cgroup: %w", err)
		}
		if err := handDown(own); err != nil {
			return "", fmt.Errorf("cgroup: %s holds other processes beside the server: %w", own, err)
		}
	} else if err != nil {
		return "", fmt.Errorf("cgroup: %w", err)
	}
	if err := handDown(root); err != nil {
		return "", fmt.Errorf("cgroup: %w", err)
	}
	return root, nil
}

// Bounds reports why a server whose process is pid (0: this one) can not bound
// memory and processors; nil when it can, as far as rights and controllers tell. It
// changes nothing.
func Bounds(pid int) error {
	who := "self"
	if pid != 0 {
		who = strconv.Itoa(pid)
	}
	own, err := controlled(who)
	if err != nil {
		return err
	}
	for _, path := range []string{own, filepath.Join(own, "cgroup.subtree_control")} {
		if err := unix.Access(path, unix.W_OK); err != nil {
			return fmt.Errorf("cgroup: %s can not be written: %w", path, err)
		}
	}
	return nil
}

// controlled is the group of a process, which has the controllers that bounds need.
func controlled(who string) (string, error) {
	own, err := cgroupOf(who)
	if err != nil {
		return "", err
	}
	there, err := os.ReadFile(filepath.Join(own, "cgroup.controllers"))
	if err != nil {
		return "", fmt.Errorf("cgroup: %w", err)
	}
	for _, want := range []string{"cpu", "memory"} {
		if !strings.Contains(" "+strings.TrimSpace(string(there))+" ", " "+want+" ") {
			return "", fmt.Errorf("cgroup: %s has no %s controller (it has: %s)", own, want, strings.TrimSpace(string(there)))
		}
	}
	return own, nil
}

func handDown(dir string) error {
	return os.WriteFile(filepath.Join(dir, "cgroup.subtree_control"), []byte(controllers), 0)
}

// cgroupOf is the folder of a process' group ("self": our own) in the unified hierarchy.
func cgroupOf(who string) (string, error) {
	mount, err := cgroupMount()
	if err != nil {
		return "", err
	}
	b, err := os.ReadFile(filepath.Join("/proc", who, "cgroup"))
	if err != nil {
		return "", fmt.Errorf("cgroup: %w", err)
	}
	for l := range strings.Lines(string(b)) {
		if path, ok := strings.CutPrefix(strings.TrimSpace(l), "0::"); ok {
			return filepath.Join(mount, path), nil
		}
	}
	return "", errors.New("cgroup: this machine has no cgroup v2")
}

func cgroupMount() (string, error) {
	f, err := os.Open("/proc/self/mountinfo")
	if err != nil {
		return "", fmt.Errorf("cgroup: %w", err)
	}
	defer func() { _ = f.Close() }()
	for scan := bufio.NewScanner(f); scan.Scan(); {
		before, after, _ := strings.Cut(scan.Text(), " - ")
		if fields := strings.Fields(before); strings.HasPrefix(after, "cgroup2 ") && len(fields) > 4 {
			return fields[4], nil
		}
	}
	return "", errors.New("cgroup: no cgroup v2 is mounted")
}
