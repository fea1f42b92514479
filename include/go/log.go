package flagstore

/*
#include <flagstore.h>

extern void flagstoreGoLog(int32_t level, char *message);

static void on_log(void *userdata, int32_t level, const char *message) {
	(void)userdata;
	flagstoreGoLog(level, (char *)message);
}

static void set_log(bool on, int32_t level) { flagstore_set_log(on ? on_log : NULL, NULL, level); }
*/
import "C"

import "sync/atomic"

// LogLevel says how grave a message of the log is: the lower, the graver.
type LogLevel int32

const (
	LogError LogLevel = C.FLAGSTORE_LOG_ERROR // the system's doing or a bug
	LogWarn  LogLevel = C.FLAGSTORE_LOG_WARN  // all other errors, and what works less well than asked for
	LogInfo  LogLevel = C.FLAGSTORE_LOG_INFO
	LogDebug LogLevel = C.FLAGSTORE_LOG_DEBUG
)

var logger atomic.Pointer[func(level LogLevel, message string)]

// SetLog sends every message of the level and graver, of all stores, to the call, which may come from several threads
// at once; nil turns the log off. A call that is under way may still go to the one before. A panic in it ends the
// process. Without SetLog the variable FLAGSTORE_LOG in the environment counts.
func SetLog(level LogLevel, call func(level LogLevel, message string)) {
	logger.Store(&call)
	C.set_log(call != nil, C.int32_t(level))
}

//export flagstoreGoLog
func flagstoreGoLog(level C.int32_t, message *C.char) {
	if call := *logger.Load(); call != nil {
		call(LogLevel(level), C.GoString(message))
	}
}
