"""Terminal and generic ioctls: asm/ioctls.h, asm/termbits.h, asm/termios.h (ioctl_tty(2))."""

from engine.abi.layout import Layout

TCGETS = 0x5401
TCSETS = 0x5402
TCSETSW = 0x5403
TCSETSF = 0x5404
TCSBRK = 0x5409
TCXONC = 0x540A
TCFLSH = 0x540B
TIOCEXCL = 0x540C
TIOCNXCL = 0x540D
TIOCSCTTY = 0x540E
TIOCNOTTY = 0x5422
TIOCGPGRP = 0x540F
TIOCSPGRP = 0x5410
TIOCOUTQ = 0x5411
TIOCSTI = 0x5412
TIOCGWINSZ = 0x5413
TIOCSWINSZ = 0x5414
TIOCMGET = 0x5415
TIOCPKT = 0x5420
TIOCGSID = 0x5429
TIOCGLCKTRMIOS = 0x5456
TIOCSLCKTRMIOS = 0x5457
TIOCGPTN = 0x80045430
TIOCSPTLCK = 0x40045431
TIOCGPTLCK = 0x80045439
TIOCGPKT = 0x80045438
TIOCGEXCL = 0x80045440
TIOCGPTPEER = 0x5441
TIOCGDEV = 0x80045432
TIOCVHANGUP = 0x5437
FIONREAD = 0x541B
FIONBIO = 0x5421
FIOASYNC = 0x5452
FIOQSIZE = 0x5460
INOTIFY_IOC_SETNEXTWD = 0x40044900  # linux/inotify.h

NCCS = 19
# `struct termios` of TCGETS; `struct ktermios`, `struct termios2` append the two speeds.
TERMIOS = Layout("struct termios", f"c_iflag:I c_oflag:I c_cflag:I c_lflag:I c_line:B c_cc:{NCCS}s")
WINSIZE = Layout("struct winsize", "ws_row:H ws_col:H ws_xpixel:H ws_ypixel:H")
