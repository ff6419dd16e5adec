"""Amazon Rekognition for the device itself.

Twelve rooms; imports point only downward in this order, and rooms of one rank do not import each other
(``tests/test_layers.py`` holds it):

1. ``core``
   types, errors, settings, storage, system, imaging
2. ``sources`` ``inference`` ``mqtt``
   frames from cameras and files; TFLite models; MQTT and the outbox
3. ``labels``
   custom labels: datasets, training, versions, classification
4. ``recognition``
   faces: collections, extraction, identification, enrollment, review
5. ``pipeline``
   one frame: gate, detection, tracking, identification, events; health and load shedding
6. ``releases`` ``api``
   over-the-air updates on the device; HTTP: Rekognition endpoint and the owner's page
7. ``hub`` ``daemon``
   the fleet's side; the process on the device
8. ``cli``
   console commands
"""

__version__ = "0.2.0"
