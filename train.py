"""Train, score and look at one restorer, or sweep over many with -m.

python train.py generator=unet depth=5 loss=lsgan dataset=rain
python train.py generator=unet depth=1,2,3,4,5,6,7,8 -m
"""

from ir_lightning.launch.app import main

if __name__ == "__main__":
    main()
