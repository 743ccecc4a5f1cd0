//! FormatMessage: texts for Winsock's and Windows's error numbers, in our own words.

use super::error::{ERROR_INVALID_PARAMETER, ERROR_MR_MID_NOT_FOUND, failure};
use crate::error::Result;

/// The text of a number, with the end of line that Windows has there too.
pub fn format(flags: u32, number: u32) -> Result<String> {
    if flags & FROM_SYSTEM == 0 || flags & FROM_STRING != 0 {
        return Err(failure(
            ERROR_INVALID_PARAMETER,
            "FormatMessage knows the system's texts only: FORMAT_MESSAGE_FROM_SYSTEM",
        ));
    }
    // As HRESULT_FROM_WIN32 makes them.
    let plain = if number >> 16 == 0x8007 { number & 0xffff } else { number };
    let found = TEXTS.iter().find(|&&(listed, _)| listed == plain);
    let (_, text) = found.ok_or_else(|| {
        failure(ERROR_MR_MID_NOT_FOUND, format!("there is no text for the error number {number}"))
    })?;
    let end = if flags & NO_LINES == NO_LINES { " " } else { "\r\n" };
    Ok(format!("{text}{end}"))
}

/// FORMAT_MESSAGE_ALLOCATE_BUFFER.
pub(crate) const ALLOCATE: u32 = 0x100;

const FROM_STRING: u32 = 0x400;
const FROM_SYSTEM: u32 = 0x1000;
/// FORMAT_MESSAGE_MAX_WIDTH_MASK.
const NO_LINES: u32 = 0xff;

const TEXTS: &[(u32, &str)] = &[
    (0, "The call succeeded."),
    (1, "There is no such function."),
    (2, "The file was not found."),
    (3, "The path was not found."),
    (4, "Too many files are open."),
    (5, "Access is refused."),
    (6, "The handle is not valid."),
    (8, "There is not enough memory for this."),
    (13, "The data are not valid."),
    (14, "There is no memory left for this."),
    (38, "The end of the file was reached."),
    (50, "This is not supported."),
    (53, "The network path was not found."),
    (54, "The network is busy."),
    (87, "A parameter is wrong."),
    (109, "The other end of the pipe was closed."),
    (112, "The disk is full."),
    (120, "This function is not there on this system."),
    (121, "A time limit ran out."),
    (122, "The buffer is too small."),
    (126, "The library was not found."),
    (127, "The function was not found in the library."),
    (170, "It is in use."),
    (183, "It exists already."),
    (234, "There are more data."),
    (259, "There are no more items."),
    (995, "The operation was ended by the program or its thread."),
    (997, "The operation goes on in the background."),
    (1004, "The flags are not valid."),
    (1113, "The text has a character that the other code page does not have."),
    (1168, "It was not found."),
    (1222, "There is no network."),
    (1223, "The user cancelled it."),
    (1225, "The peer refused the connection."),
    (1226, "The connection was closed in good order."),
    (1231, "The network cannot be reached."),
    (1232, "The host cannot be reached."),
    (1236, "The connection was ended on this side."),
    (1460, "A time limit ran out."),
    (10004, "A blocking call was interrupted."),
    (10009, "The descriptor is not valid."),
    (10013, "The socket may not be used like that."),
    (10014, "An address in the program's memory is not valid."),
    (10022, "An argument is not valid."),
    (10024, "Too many sockets are open."),
    (10035, "The socket cannot do this at once."),
    (10036, "A blocking operation is under way."),
    (10037, "The operation is under way already."),
    (10038, "This is no socket."),
    (10039, "A destination address is missing."),
    (10040, "The message is longer than the buffer or than the network allows."),
    (10041, "The protocol does not go with the type of the socket."),
    (10042, "The option or level is not known to the protocol."),
    (10043, "The protocol is not supported."),
    (10044, "The type of socket is not supported."),
    (10045, "This is not supported by the socket."),
    (10046, "The protocol family is not supported."),
    (10047, "The address family is not supported."),
    (10048, "The address is in use already."),
    (10049, "The address is none of this machine."),
    (10050, "The network is down."),
    (10051, "The network cannot be reached."),
    (10052, "The connection was lost when the network was reset."),
    (10053, "The connection was ended on this side."),
    (10054, "The peer reset the connection."),
    (10055, "There is no memory left for buffers."),
    (10056, "The socket is connected already."),
    (10057, "The socket is not connected."),
    (10058, "The socket has been shut down for that."),
    (10060, "The peer did not answer in time."),
    (10061, "The peer refused the connection."),
    (10064, "The host is down."),
    (10065, "The host cannot be reached."),
    (10091, "The network is not ready."),
    (10092, "This version of Winsock is not supported."),
    (10093, "WSAStartup was not called."),
    (11001, "There is no host of this name."),
    (11002, "The name server did not answer; try again later."),
    (11003, "The name server failed."),
    (11004, "The name has no address."),
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn texts_end_their_line() {
        assert_eq!(format(0x1200, 10061).unwrap(), "The peer refused the connection.\r\n");
        assert_eq!(format(0x10ff, 10061).unwrap(), "The peer refused the connection. ");
        assert_eq!(format(0x1000, 0x8007_0057).unwrap(), "A parameter is wrong.\r\n");
    }

    #[test]
    fn no_text_and_other_sources_fail() {
        assert_eq!(format(0x1000, 424_242).unwrap_err().windows, ERROR_MR_MID_NOT_FOUND);
        assert_eq!(format(0x400, 5).unwrap_err().windows, ERROR_INVALID_PARAMETER);
    }

    #[test]
    fn the_list_is_in_order_with_every_winsock_number_that_the_library_gives() {
        assert!(TEXTS.is_sorted_by_key(|&(number, _)| number));
        for errno in 1..134 {
            let number = crate::winsock::error::of_errno(errno) as u32;
            assert!(format(0x1000, number).is_ok(), "{number}");
        }
    }
}
