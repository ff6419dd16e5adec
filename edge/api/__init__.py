"""The Rekognition endpoint: the same detector, embedder and collections behind Amazon's wire protocol.

server       HTTP: routes, bodies, lanes, answers          service      what the operations work with
rules        kinds of constraint and how each is checked   constraints  the table of constraints, per operation
sigv4        verification of signed requests               errors       our errors as Rekognition's
images       bytes or S3Object to a picture                shapes       our words as Rekognition's structures
worker       the one thread that runs models               state        tags, tokens and processors in SQLite
operations/  one function an operation                     streams/     stream processors at work on frames
"""
