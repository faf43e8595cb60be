package zinittest

import (
	"bytes"
	"fmt"
	"os"
	"runtime"

	"golang.org/x/sys/unix"
)

// A child's main goroutine stays on the first thread, so that it can end it.
func init() {
	if os.Getenv(roleVar) == roleChild {
		runtime.LockOSThread()
	}
}

// headless is the child of that name: it does not return.
func headless() {
	go func() {
		for {
			b, err := os.ReadFile("/proc/self/stat")
			if err == nil && bytes.Contains(b, []byte(") Z ")) {
				break
			}
			runtime.Gosched()
		}
		_, _ = fmt.Fprintln(os.Stdout, "headless")
		for {
			_ = unix.Pause()
		}
	}()
	_, _, _ = unix.Syscall(unix.SYS_EXIT, 0, 0, 0) // of this thread; exit_group(2) ends them all
}
