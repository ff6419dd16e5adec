"""The Rekognition endpoint: the device's detectors, embedder and collections behind Amazon's wire protocol.

A request comes in at ``endpoint``, is verified there, checked by ``constraints``, and runs as one function of
``operations`` on a work queue of ``service``.
"""
