# Sends a request and passes on what is answered: usage small-window.pl PORT BYTES REQUEST. Node cannot set SO_RCVBUF, which
# must be small before the connection is made for the window to be; the server then gets rid of a few KiB at a time.
use strict;
use warnings;
use Socket;

my ($port, $bytes, $request) = @ARGV;
socket(my $socket, PF_INET, SOCK_STREAM, 0) or die "socket: $!";
setsockopt($socket, SOL_SOCKET, SO_RCVBUF, pack('l', $bytes)) or die "setsockopt: $!";
connect($socket, sockaddr_in($port, INADDR_LOOPBACK)) or die "connect: $!";
syswrite($socket, $request) == length $request or die "write: $!";
while (1) {
  my $read = sysread($socket, my $piece, 1 + int rand 4096);
  die "read: $!" unless defined $read;
  last if $read == 0;
  for (my $at = 0; $at < $read; ) {
    my $written = syswrite(STDOUT, $piece, $read - $at, $at);
    exit 0 unless defined $written;
    $at += $written;
  }
}
