package agent

import (
	"bytes"
	"os"
	"path/filepath"
	"runtime"
	"strconv"
	"syscall"
)

// dieTogether has the kernel kill the program when this process dies, by whatever. The kernel goes by the thread that
// started it (prctl(2), PR_SET_PDEATHSIG), so that has to live as long as the program.
func dieTogether(attributes *syscall.SysProcAttr) (release func()) {
	runtime.LockOSThread()
	attributes.Pdeathsig = syscall.SIGKILL
	return runtime.UnlockOSThread
}

// groups are the process groups of the session in which somebody lives. There may be several, as programs such as
// timeout(1) make one. To ask the group with kill(2) would not do: it counts the dead who wait for init, which in a
// container may be for ever.
func (g group) groups() map[int]bool {
	found := map[int]bool{}
	files, _ := filepath.Glob("/proc/[0-9]*/stat")
	for _, file := range files {
		if state, group, session := readStat(file); session == g.leader.Pid && state != 'Z' && state != 'X' {
			found[group] = true
		}
	}
	return found
}

// readStat has zeros for a process that is gone. See proc_pid_stat(5); the name before the state may hold anything.
func readStat(file string) (state byte, group, session int) {
	text, err := os.ReadFile(file)
	fields := bytes.Fields(text[bytes.LastIndexByte(text, ')')+1:])
	if err != nil || len(fields) < 4 {
		return 0, 0, 0
	}
	group, _ = strconv.Atoi(string(fields[2]))
	session, _ = strconv.Atoi(string(fields[3]))
	return fields[0][0], group, session
}
