/** Where guests on QEMU's user network find this machine's loopback. */
export const hostFromGuest = '10.0.2.2'
