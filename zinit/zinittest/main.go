package zinittest

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"os/signal"
	"path/filepath"
	"runtime"
	"syscall"
	"testing"

	"herosup/zinit/server"

	"go.uber.org/goleak"
)

// The environment tells a test binary what it is to be.
const (
	roleVar   = "ZINITTEST_ROLE"
	dirVar    = "ZINITTEST_DIR"
	socketVar = "ZINITTEST_SOCKET"

	roleServer = "server"
	roleKeeper = "keeper"
	roleChild  = "child"
	roleInit   = "init"
)

// Main runs the tests and looks for goroutines that they left, or is the
// process that a test asked for. Call it from TestMain.
func Main(m *testing.M) {
	switch os.Getenv(roleVar) {
	case roleServer:
		os.Exit(beServer())
	case roleKeeper:
		os.Exit(beKeeper())
	case roleInit:
		os.Exit(beInit(os.Args[1:]))
	case roleChild:
		os.Exit(beChild(os.Args[1:]))
	}
	goleak.VerifyTestMain(m, goleak.Cleanup(func(code int) {
		missing.Range(func(word, what any) bool {
			fmt.Fprintf(os.Stderr, "herosup tests: MISSING here: %s; its tests did not run (HEROSUP_REQUIRE=%s makes that a failure)\n", what, word)
			return true
		})
		os.Exit(code)
	}))
}

// beServer is our server until it is told to end (SIGTERM). Once it answers, it
// says so on its standard output, which is a pipe to Start.
func beServer() int {
	// What is for the server alone must not reach the services.
	cfg := server.Config{Dir: os.Getenv(dirVar), Socket: os.Getenv(socketVar)}
	if exe, err := os.Executable(); err == nil {
		cfg.Keeper = []string{"env", roleVar + "=" + roleKeeper, dirVar + "=" + cfg.Dir, exe}
	}
	for _, v := range []string{roleVar, dirVar, socketVar} {
		_ = os.Unsetenv(v)
	}
	cfg.Log = slog.New(slog.NewTextHandler(os.Stderr, &slog.HandlerOptions{Level: slog.LevelDebug}))
	cfg.Ready = func() { _, _ = fmt.Fprintln(os.Stdout, readyLine) }
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGTERM)
	defer stop()
	// A test that dies takes its end of our input with it, and us with that; but
	// not by SIGPIPE at the next log line, or the services would be left.
	signal.Notify(make(chan os.Signal, 1), syscall.SIGPIPE)
	ctx, cancel := context.WithCancel(ctx)
	go func() {
		_, _ = io.Copy(io.Discard, os.Stdin)
		cancel()
	}()
	tellGoroutines(cfg.Dir)
	if err := server.Run(ctx, cfg); err != nil && !errors.Is(err, server.ErrReboot) {
		_, _ = fmt.Fprintln(os.Stdout, err)
		return 1
	}
	return 0
}

// goroutinesFile is where a server writes how many goroutines it has, each time
// it gets USR2.
const goroutinesFile = ".goroutines"

func tellGoroutines(dir string) {
	ask := make(chan os.Signal, 1)
	signal.Notify(ask, syscall.SIGUSR2)
	go func() {
		for range ask { // ends with the process
			text := fmt.Sprintf("%d\n", runtime.NumGoroutine())
			_ = os.WriteFile(filepath.Join(dir, goroutinesFile), []byte(text), 0o600)
		}
	}()
}

// beKeeper is the keeper of such a server.
func beKeeper() int {
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGTERM)
	defer stop()
	if err := server.Keep(ctx, os.Getenv(dirVar), slog.New(slog.DiscardHandler)); err != nil {
		return 1
	}
	return 0
}
