using System;
using System.IO;
using System.Net.Sockets;
using System.Reflection;
using System.Text;

namespace SslSock
{
    /// <summary>
    /// What readers have taken off a socket and not given to anybody yet. There is no public way to ask, and the names
    /// of the fields differ between runtimes.
    /// </summary>
    internal static class UnreadText
    {
        private const BindingFlags Fields = BindingFlags.Instance | BindingFlags.NonPublic;

        /// <exception cref="InvalidOperationException">The reader holds something.</exception>
        /// <exception cref="NotSupportedException">It cannot be looked into.</exception>
        internal static void Refuse(TextReader reader)
        {
            if (reader == null)
            {
                throw new ArgumentNullException(nameof(reader));
            }
            var streamReader = reader as StreamReader;
            if (streamReader == null)
            {
                throw Unknown(reader.GetType());
            }
            if (streamReader.BaseStream == null || !streamReader.BaseStream.CanRead)
            {
                throw new InvalidOperationException(
                    "A reader has been closed, and what it held cannot be seen any more. Close it after the handshake.");
            }
            int characters = Number(streamReader, typeof(StreamReader), "charLen") -
                Number(streamReader, typeof(StreamReader), "charPos");
            if (characters > 0)
            {
                throw Held(characters + " characters");
            }
            // While it looks for a byte order mark it holds bytes, and its decoder may hold half a character.
            bool looksForMark = (bool)Value(streamReader, typeof(StreamReader), "checkPreamble");
            if (looksForMark && Number(streamReader, typeof(StreamReader), "byteLen") > 0 || HoldsHalf(streamReader))
            {
                throw Held("the beginning of a character");
            }
            RefuseStream(streamReader.BaseStream);
        }

        private static void RefuseStream(Stream stream)
        {
            if (stream is NetworkStream)
            {
                return;
            }
            var buffered = stream as BufferedStream;
            if (buffered == null)
            {
                throw Unknown(stream == null ? typeof(StreamReader) : stream.GetType());
            }
            int bytes = Number(buffered, typeof(BufferedStream), "readLen", "readLength") -
                Number(buffered, typeof(BufferedStream), "readPos");
            if (bytes > 0)
            {
                throw Held(bytes + " bytes");
            }
            RefuseStream((Stream)Value(buffered, typeof(BufferedStream), "stream"));
        }

        private static bool HoldsHalf(StreamReader reader)
        {
            var decoder = (Decoder)Value(reader, typeof(StreamReader), "decoder");
            try
            {
                return decoder.GetCharCount(new byte[0], 0, 0, true) > 0;
            }
            catch (DecoderFallbackException)
            {
                return true;
            }
        }

        private static int Number(object owner, Type type, params string[] names)
        {
            return (int)Value(owner, type, names);
        }

        private static object Value(object owner, Type type, params string[] names)
        {
            foreach (string name in names)
            {
                FieldInfo field = type.GetField("_" + name, Fields) ?? type.GetField(name, Fields);
                if (field != null)
                {
                    return field.GetValue(owner);
                }
            }
            throw Unknown(owner.GetType());
        }

        private static Exception Held(string what)
        {
            return new InvalidOperationException(
                "A reader holds " + what + " that came in clear and have not been read. Read the whole answer to " +
                "STARTTLS before the handshake. If the peer has sent more than that, do not go on: somebody may have " +
                "put it there.");
        }

        private static Exception Unknown(Type type)
        {
            return new NotSupportedException(
                "What a " + type + " holds cannot be seen. Only a StreamReader over a NetworkStream, or over a " +
                "BufferedStream over one, can be given to DoHandshake.");
        }
    }
}
