using System;
using System.IO;
using Newtonsoft.Json;
using Newtonsoft.Json.Linq;

namespace Algorithm
{
    /// <summary>
    /// The platform's process protocol: each line of standard input is a request in JSON, and each answer is a line of
    /// JSON written to a named pipe, which is opened and closed for it.
    /// </summary>
    public static class Pipe
    {
        private const string AnswerPath = "/tmp/algoout";

        /// <summary>Answers requests until standard input ends.</summary>
        public static void Serve(Func<object, object> apply)
        {
            Console.WriteLine("PIPE_INIT_COMPLETE");
            Console.Out.Flush();
            string line;
            while ((line = Console.In.ReadLine()) != null)
            {
                JObject answer = Answer(apply, line);
                Console.Out.Flush();
                using (var pipe = new StreamWriter(new FileStream(AnswerPath, FileMode.Open, FileAccess.Write)))
                {
                    pipe.Write(answer.ToString(Formatting.None) + "\n");
                }
            }
        }

        private static JObject Answer(Func<object, object> apply, string line)
        {
            try
            {
                return Result(apply(Input(JObject.Parse(line))));
            }
            catch (Exception error)
            {
                return new JObject(new JProperty("error", new JObject(
                    new JProperty("message", error.Message),
                    new JProperty("error_type", "AlgorithmError"),
                    new JProperty("stacktrace", error.ToString()))));
            }
        }

        private static object Input(JObject request)
        {
            JToken data = request["data"];
            switch ((string)request["content_type"])
            {
                case "text":
                    return (string)data;
                case "binary":
                    return Convert.FromBase64String((string)data);
                default:
                    return data.ToObject<object>();
            }
        }

        private static JObject Result(object result)
        {
            if (result is byte[] bytes)
            {
                return Wrap("binary", Convert.ToBase64String(bytes));
            }
            return Wrap(result is string ? "text" : "json", result == null ? JValue.CreateNull() : JToken.FromObject(result));
        }

        private static JObject Wrap(string contentType, JToken result)
        {
            return new JObject(
                new JProperty("result", result),
                new JProperty("metadata", new JObject(new JProperty("content_type", contentType))));
        }
    }
}
